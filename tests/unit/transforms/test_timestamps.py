import datetime

import pytest

from penstock.transforms.time import timestamps

MOMENT = datetime.datetime(2026, 2, 3, 4, 5, 6, 78_000, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("YYYY.MM.dd", "2026.02.03"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2026-02-03T04:05:06.078"),
        ("xxxx.ww", "2026.06"),
        ("yy.M.d", "26.2.3"),
        ("DDD", "034"),
        ("EEE e", "Tue 2"),
        ("'it''s' H", "it's 4"),
        ("%s", "1770091506"),
    ],
)
def test_patterns(pattern, text):
    assert timestamps.compile_format(pattern)(MOMENT) == text


@pytest.mark.parametrize("pattern", ["", "YYYY.QQ", "'open", "yyyyyyyyyyyy"])
def test_unknown_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match="date pattern"):
        timestamps.compile_format(pattern)


def test_week_year_differs_from_year_at_new_year():
    new_year = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    assert timestamps.compile_format("xxxx.ww YYYY")(new_year) == "2026.53 2027"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-02-03T04:05:06.078Z", MOMENT),
        ("2026-02-03T05:05:06.078+01:00", MOMENT),
        ("2026-02-03T04:05:06.078000123Z", MOMENT),
        ("2026-02-03", MOMENT.replace(hour=0, minute=0, second=0, microsecond=0)),
    ],
)
def test_times_are_read_in_utc(text, utc):
    assert timestamps.parse(text) == utc


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2" * 100])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        timestamps.parse(text)


def test_text_has_milliseconds_and_numbers_are_milliseconds():
    assert timestamps.to_text(MOMENT) == "2026-02-03T04:05:06.078Z"
    assert timestamps.of_value(1_770_091_506_078) == "2026-02-03T04:05:06.078Z"
    assert timestamps.of_value("as it is") == "as it is"
    assert timestamps.of_value(1e300) is None
    assert timestamps.of_value(True) is None
    assert timestamps.of_value({}) is None
