"""`filter_transforms` holds a PTransform for each filter, with the filter's options as keywords."""

from penstock.transforms.logstash.beam import FilterTransform

__all__ = [
    "Bytes",
    "Cidr",
    "Clone",
    "Csv",
    "Date",
    "DeDot",
    "Dissect",
    "Drop",
    "Fingerprint",
    "Geoip",
    "Grok",
    "Json",
    "Kv",
    "Mutate",
    "Prune",
    "Python",
    "Split",
    "SyslogPri",
    "Throttle",
    "Translate",
    "Truncate",
    "Urldecode",
    "Useragent",
    "Uuid",
]


class Bytes(FilterTransform):
    """`bytes`: reads a size such as `3,124.5 MB` as a number of bytes.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Bytes
        >>> through(Bytes(source="size"), {"size": "2 kB"})
        [{'size': 2048, '@timestamp': '1970-01-01T00:00:00.000Z'}]
    """

    name = "bytes"


class Cidr(FilterTransform):
    """`cidr`: tells whether an address lies in a network.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Cidr
        >>> through(Cidr(address=["%{ip}"], network=["10.0.0.0/8"], add_tag=["inner"]), {"ip": "10.1.2.3"})
        [{'ip': '10.1.2.3', '@timestamp': '1970-01-01T00:00:00.000Z', 'tags': ['inner']}]
    """

    name = "cidr"


class Clone(FilterTransform):
    """`clone`: makes copies of an event.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Clone
        >>> [each.get("tags") for each in through(Clone(clones=["copy"]), {"message": "a"})]
        [None, ['copy']]
    """

    name = "clone"


class Csv(FilterTransform):
    """`csv`: reads a line of comma-separated values.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Csv
        >>> through(Csv(columns=["user", "age"]), {"message": "ann,30"})
        [{'message': 'ann,30', '@timestamp': '1970-01-01T00:00:00.000Z', 'user': 'ann', 'age': '30'}]
    """

    name = "csv"


class Date(FilterTransform):
    """`date`: reads a time into `@timestamp`.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Date
        >>> through(Date(match=["time", "dd/MMM/yyyy"]), {"time": "28/Nov/2026"})
        [{'time': '28/Nov/2026', '@timestamp': '2026-11-28T00:00:00.000Z'}]
    """

    name = "date"


class DeDot(FilterTransform):
    """`de_dot`: takes the dots out of names.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import DeDot
        >>> through(DeDot(), {"a.b": 1})
        [{'@timestamp': '1970-01-01T00:00:00.000Z', 'a_b': 1}]
    """

    name = "de_dot"


class Dissect(FilterTransform):
    """`dissect`: cuts a text at fixed delimiters.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Dissect
        >>> through(Dissect(mapping={"message": "%{user} %{action}"}), {"message": "ann login"})
        [{'message': 'ann login', '@timestamp': '1970-01-01T00:00:00.000Z', 'user': 'ann', 'action': 'login'}]
    """

    name = "dissect"


class Drop(FilterTransform):
    """`drop`: throws events away.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Drop
        >>> through(Drop(), {"message": "a"})
        []
    """

    name = "drop"


class Fingerprint(FilterTransform):
    """`fingerprint`: makes a hash of fields.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Fingerprint
        >>> through(Fingerprint(source=["user"], target="hash", method="MURMUR3"), {"user": "ann"})
        [{'user': 'ann', '@timestamp': '1970-01-01T00:00:00.000Z', 'hash': 891354358}]
    """

    name = "fingerprint"


class Geoip(FilterTransform):
    """`geoip`: looks an address up in a MaxMind file."""

    name = "geoip"


class Grok(FilterTransform):
    """`grok`: reads a text by named patterns.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Grok
        >>> through(Grok(match={"message": "%{WORD:user} %{INT:age:int}"}), {"message": "ann 30"})
        [{'message': 'ann 30', '@timestamp': '1970-01-01T00:00:00.000Z', 'user': 'ann', 'age': 30}]
    """

    name = "grok"


class Json(FilterTransform):
    """`json`: reads JSON in a field.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Json
        >>> through(Json(source="message", target="data"), {"message": '{"user": "ann"}'})
        [{'message': '{"user": "ann"}', '@timestamp': '1970-01-01T00:00:00.000Z', 'data': {'user': 'ann'}}]
    """

    name = "json"


class Kv(FilterTransform):
    """`kv`: reads pairs such as `a=1 b=2`.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Kv
        >>> through(Kv(), {"message": "user=ann"})
        [{'message': 'user=ann', '@timestamp': '1970-01-01T00:00:00.000Z', 'user': 'ann'}]
    """

    name = "kv"


class Mutate(FilterTransform):
    """`mutate`: renames, replaces, converts, cuts and joins fields.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Mutate
        >>> through(Mutate(rename={"msg": "message"}, uppercase=["level"]), {"msg": "a", "level": "info"})
        [{'level': 'INFO', '@timestamp': '1970-01-01T00:00:00.000Z', 'message': 'a'}]
    """

    name = "mutate"


class Prune(FilterTransform):
    """`prune`: removes fields by name and value.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Prune
        >>> through(Prune(whitelist_names=["^user"]), {"user": "ann", "pass": "x"})
        [{'user': 'ann'}]
    """

    name = "prune"


class Python(FilterTransform):
    """`python`: runs Python on each event; only with `allow_code`.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Python
        >>> through(Python(code="event.set('n', len(event.get('message')))", allow_code=True), {"message": "abc"})
        [{'message': 'abc', '@timestamp': '1970-01-01T00:00:00.000Z', 'n': 3}]
    """

    name = "python"


class Split(FilterTransform):
    """`split`: makes an event of each line or element.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Split
        >>> [each["message"] for each in through(Split(field="message", terminator=","), {"message": "a,b"})]
        ['a', 'b']
    """

    name = "split"


class SyslogPri(FilterTransform):
    """`syslog_pri`: reads syslog's priority.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import SyslogPri
        >>> through(SyslogPri(ecs_compatibility="disabled"), {"syslog_pri": "13"})[0]["syslog_severity"]
        'notice'
    """

    name = "syslog_pri"


class Throttle(FilterTransform):
    """`throttle`: counts events by key and time.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Throttle
        >>> through(Throttle(key="%{user}", after_count=1, add_tag=["many"]), {"user": "ann"}, {"user": "ann"})
        [{'user': 'ann'}, {'user': 'ann', '@timestamp': '1970-01-01T00:00:00.000Z', 'tags': ['many']}]
    """

    name = "throttle"


class Translate(FilterTransform):
    """`translate`: replaces values by a dictionary.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Translate
        >>> through(Translate(source="code", target="text", dictionary={"200": "OK"}), {"code": "200"})
        [{'code': '200', '@timestamp': '1970-01-01T00:00:00.000Z', 'text': 'OK'}]
    """

    name = "translate"


class Truncate(FilterTransform):
    """`truncate`: cuts texts that are too long.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Truncate
        >>> through(Truncate(length_bytes=3), {"message": "abcdef"})
        [{'message': 'abc', '@timestamp': '1970-01-01T00:00:00.000Z'}]
    """

    name = "truncate"


class Urldecode(FilterTransform):
    """`urldecode`: decodes `%20` and the like.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Urldecode
        >>> through(Urldecode(field="path"), {"path": "/a%20b"})
        [{'path': '/a b', '@timestamp': '1970-01-01T00:00:00.000Z'}]
    """

    name = "urldecode"


class Useragent(FilterTransform):
    """`useragent`: reads a browser's name for itself.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Useragent
        >>> through(Useragent(source="agent", target="ua"), {"agent": "curl/8.5.0"})[0]["ua"]["name"]
        'curl'
    """

    name = "useragent"


class Uuid(FilterTransform):
    """`uuid`: gives an event a random identifier.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Uuid
        >>> through(Uuid(target="id"), {"message": "a"})[0]["id"].count("-")
        4
    """

    name = "uuid"
