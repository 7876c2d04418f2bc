"""`logstash` holds Logstash's filters, with their names and meanings: the language, the filters, and their chains.

`compile_filters(text)` makes a chain of a configuration's text; `chain.apply(event)` filters a decoded event.
`LogstashFilters(text)`, `Grok(match=...)`, `When(condition, [...])` and the others are PTransforms on event batches.
The names below load when they are first used, so code that only compiles filters does not load Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.transforms.logstash.beam import LogstashFilters, When
    from penstock.transforms.logstash.compile import compile_filters
    from penstock.transforms.logstash.filter_transforms import (
        Bytes,
        Cidr,
        Clone,
        Csv,
        Date,
        DeDot,
        Dissect,
        Drop,
        Fingerprint,
        Geoip,
        Grok,
        Json,
        Kv,
        Mutate,
        Prune,
        Python,
        Split,
        SyslogPri,
        Throttle,
        Translate,
        Truncate,
        Urldecode,
        Useragent,
        Uuid,
    )
    from penstock.transforms.logstash.language._errors import ConfigError

__all__ = [
    "Bytes",
    "Cidr",
    "Clone",
    "ConfigError",
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
    "LogstashFilters",
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
    "When",
    "compile_filters",
]

__getattr__ = lazily(
    __name__,
    dict.fromkeys(__all__, "filter_transforms")
    | {
        "ConfigError": "language._errors",
        "LogstashFilters": "beam",
        "When": "beam",
        "compile_filters": "compile",
    },
)
