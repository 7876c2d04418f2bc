"""An example of each of Logstash's filters as a transform: its options, as YAML would give them."""

from pathlib import Path

MAXMIND = Path(__file__).parents[2] / "unit" / "logstash" / "fixtures" / "city.mmdb"

FILTERS = {
    "Filters": {"text": "filter { mutate { rename => { 'a' => 'b' } } }"},
    "When": {
        "condition": "[status] >= 500",
        "then": [{"type": "penstock.logstash.Mutate", "config": {"add_tag": ["failed"]}}],
        "otherwise": [{"type": "Drop"}],
    },
    "Bytes": {"source": "size"},
    "Cidr": {"address": ["%{ip}"], "network": ["10.0.0.0/8"]},
    "Clone": {"clones": ["copy"]},
    "Csv": {"columns": ["a", "b"]},
    "Date": {"match": ["when", "ISO8601"]},
    "DeDot": {"nested": True},
    "Dissect": {"mapping": {"message": "%{a} %{b}"}},
    "Drop": {"percentage": 10},
    "Fingerprint": {"source": ["message"]},
    "Geoip": {"source": "ip", "target": "place", "database": str(MAXMIND)},
    "Grok": {"match": {"message": "%{COMBINEDAPACHELOG}"}},
    "Json": {"source": "message"},
    "Kv": {},
    "Mutate": {"convert": {"n": "integer"}},
    "Prune": {"blacklist_names": ["^secret"]},
    "Python": {"code": "event.tag('seen')", "allow_code": True},
    "Split": {"field": "lines"},
    "SyslogPri": {},
    "Throttle": {"key": "%{host}", "after_count": 2},
    "Translate": {"source": "a", "dictionary": {"x": "y"}},
    "Truncate": {"length_bytes": 100},
    "Urldecode": {},
    "Useragent": {"source": "agent"},
    "Uuid": {"target": "id"},
}
