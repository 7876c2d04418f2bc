# ruff: noqa: RUF001
"""`_date_names` holds the names of months, days, half days and eras in the languages of logs.

The names are those of Java 17, which has them from the CLDR (Unicode's licence): some short names end in a dot, and the
dot belongs to them. A country counts where it writes names its own way (`_COUNTRIES`).
"""

import functools
from typing import NamedTuple


class DateNames(NamedTuple):
    """Every spelling of the names that a text may hold, with its number.

    Attributes:
        months: 1 to 12, long and short.
        days: 1 (Monday) to 7, long and short.
        halves: 0 (morning) and 1.
        eras: 0 (before Christ) and 1.
    """

    months: dict[str, int]
    days: dict[str, int]
    halves: dict[str, int]
    eras: dict[str, int]


@functools.lru_cache(maxsize=32)
def date_names(locale: str) -> DateNames | None:
    """Gives the names in the language of `locale` (`en`, `de-AT`, `pt_BR`), or None where we know none."""
    language, _, country = locale.replace("_", "-").lower().partition("-")
    found = _NAMES.get({"no": "nb"}.get(language, language))
    if found is None:
        return None
    if language == "es" and country not in ("", "es"):
        country = "419"  # Latin America
    own = _COUNTRIES.get(f"{language}-{country.upper()}", {})
    return _names_of(*[own.get(place, names) for place, names in enumerate(found)])


def _names_of(months: str, short_months: str, days: str, short_days: str, halves: str) -> DateNames:
    return DateNames(
        _spelled(months.split(), 1) | _spelled(short_months.split(), 1),
        _spelled(days.split(), 1) | _spelled(short_days.split(), 1),
        _spelled(halves.split("|"), 0) | _spelled(["AM", "PM"], 0),
        _spelled(["BC", "AD"], 0) | _spelled(["BCE", "CE"], 0),
    )


def _spelled(names: list[str], first: int) -> dict[str, int]:
    """Gives each name as written, small and capital."""
    return {
        spelled: number
        for number, name in enumerate(names, first)
        for spelled in (name, name.lower(), name.upper())
    }


_NAMES = {
    "en": (
        "January February March April May June July August September October November December",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "Mon Tue Wed Thu Fri Sat Sun",
        "AM|PM",
    ),
    "de": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "Mo. Di. Mi. Do. Fr. Sa. So.",
        "AM|PM",
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "lun. mar. mer. jeu. ven. sam. dim.",
        "AM|PM",
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sept oct nov dic",
        "lunes martes miércoles jueves viernes sábado domingo",
        "lun mar mié jue vie sáb dom",
        "a.\xa0m.|p.\xa0m.",
    ),
    "it": (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "lun mar mer gio ven sab dom",
        "AM|PM",
    ),
    "pt": (
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        "seg. ter. qua. qui. sex. sáb. dom.",
        "AM|PM",
    ),
    "nl": (
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan. feb. mrt. apr. mei jun. jul. aug. sep. okt. nov. dec.",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "ma di wo do vr za zo",
        "a.m.|p.m.",
    ),
    "pl": (
        "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "sty lut mar kwi maj cze lip sie wrz paź lis gru",
        "poniedziałek wtorek środa czwartek piątek sobota niedziela",
        "pon. wt. śr. czw. pt. sob. niedz.",
        "AM|PM",
    ),
    "cs": (
        "ledna února března dubna května června července srpna září října listopadu prosince",
        "led úno bře dub kvě čvn čvc srp zář říj lis pro",
        "pondělí úterý středa čtvrtek pátek sobota neděle",
        "po út st čt pá so ne",
        "dop.|odp.",
    ),
    "sk": (
        "januára februára marca apríla mája júna júla augusta septembra októbra novembra decembra",
        "jan feb mar apr máj jún júl aug sep okt nov dec",
        "pondelok utorok streda štvrtok piatok sobota nedeľa",
        "po ut st št pi so ne",
        "AM|PM",
    ),
    "hu": (
        "január február március április május június július augusztus szeptember október november december",
        "jan. febr. márc. ápr. máj. jún. júl. aug. szept. okt. nov. dec.",
        "hétfő kedd szerda csütörtök péntek szombat vasárnap",
        "H K Sze Cs P Szo V",
        "de.|du.",
    ),
    "ro": (
        "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
        "ian. feb. mar. apr. mai iun. iul. aug. sept. oct. nov. dec.",
        "luni marți miercuri joi vineri sâmbătă duminică",
        "lun. mar. mie. joi vin. sâm. dum.",
        "a.m.|p.m.",
    ),
    "sv": (
        "januari februari mars april maj juni juli augusti september oktober november december",
        "jan. feb. mars apr. maj juni juli aug. sep. okt. nov. dec.",
        "måndag tisdag onsdag torsdag fredag lördag söndag",
        "mån tis ons tors fre lör sön",
        "fm|em",
    ),
    "da": (
        "januar februar marts april maj juni juli august september oktober november december",
        "jan. feb. mar. apr. maj jun. jul. aug. sep. okt. nov. dec.",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag",
        "man. tir. ons. tor. fre. lør. søn.",
        "AM|PM",
    ),
    "nb": (
        "januar februar mars april mai juni juli august september oktober november desember",
        "jan. feb. mar. apr. mai jun. jul. aug. sep. okt. nov. des.",
        "mandag tirsdag onsdag torsdag fredag lørdag søndag",
        "man. tir. ons. tor. fre. lør. søn.",
        "a.m.|p.m.",
    ),
    "fi": (
        (
            "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta "
            "heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta"
        ),
        "tammik. helmik. maalisk. huhtik. toukok. kesäk. heinäk. elok. syysk. lokak. marrask. jouluk.",
        "maanantaina tiistaina keskiviikkona torstaina perjantaina lauantaina sunnuntaina",
        "ma ti ke to pe la su",
        "ap.|ip.",
    ),
    "tr": (
        "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
        "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara",
        "Pazartesi Salı Çarşamba Perşembe Cuma Cumartesi Pazar",
        "Pzt Sal Çar Per Cum Cmt Paz",
        "ÖÖ|ÖS",
    ),
    "ru": (
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
        "янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.",
        "понедельник вторник среда четверг пятница суббота воскресенье",
        "пн вт ср чт пт сб вс",
        "AM|PM",
    ),
    "uk": (
        "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
        "січ. лют. бер. квіт. трав. черв. лип. серп. вер. жовт. лист. груд.",
        "понеділок вівторок середа четвер пʼятниця субота неділя",
        "пн вт ср чт пт сб нд",
        "дп|пп",
    ),
    "el": (
        (
            "Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου "
            "Ιουλίου Αυγούστου Σεπτεμβρίου Οκτωβρίου Νοεμβρίου Δεκεμβρίου"
        ),
        "Ιαν Φεβ Μαρ Απρ Μαΐ Ιουν Ιουλ Αυγ Σεπ Οκτ Νοε Δεκ",
        "Δευτέρα Τρίτη Τετάρτη Πέμπτη Παρασκευή Σάββατο Κυριακή",
        "Δευ Τρί Τετ Πέμ Παρ Σάβ Κυρ",
        "π.μ.|μ.μ.",
    ),
    "bg": (
        "януари февруари март април май юни юли август септември октомври ноември декември",
        "яну фев март апр май юни юли авг сеп окт ное дек",
        "понеделник вторник сряда четвъртък петък събота неделя",
        "пн вт ср чт пт сб нд",
        "пр.об.|сл.об.",
    ),
    "ja": (
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日",
        "月 火 水 木 金 土 日",
        "午前|午後",
    ),
    "ko": (
        "1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",
        "1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",
        "월요일 화요일 수요일 목요일 금요일 토요일 일요일",
        "월 화 수 목 금 토 일",
        "오전|오후",
    ),
    "zh": (
        "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "星期一 星期二 星期三 星期四 星期五 星期六 星期日",
        "周一 周二 周三 周四 周五 周六 周日",
        "上午|下午",
    ),
}

_COUNTRIES: dict[str, dict[int, str]] = {
    "en-GB": {1: "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"},
    "en-AU": {1: "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec"},
    "en-CA": {
        1: "Jan. Feb. Mar. Apr. May Jun. Jul. Aug. Sep. Oct. Nov. Dec.",
        3: "Mon. Tue. Wed. Thu. Fri. Sat. Sun.",
        4: "a.m.|p.m.",
    },
    "en-IE": {4: "a.m.|p.m."},
    "de-AT": {
        0: "Jänner Februar März April Mai Juni Juli August September Oktober November Dezember",
        1: "Jän. Feb. März Apr. Mai Juni Juli Aug. Sep. Okt. Nov. Dez.",
    },
    "fr-CA": {1: "janv. févr. mars avr. mai juin juill. août sept. oct. nov. déc.", 4: "a.m.|p.m."},
    "es-419": {1: "ene. feb. mar. abr. may. jun. jul. ago. sep. oct. nov. dic."},
    "pt-PT": {3: "segunda terça quarta quinta sexta sábado domingo", 4: "da manhã|da tarde"},
}
"""What a country writes otherwise than its language, by the place in a language's names."""

ENGLISH = _names_of(*_NAMES["en"])
