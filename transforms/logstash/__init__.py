"""`logstash` holds Logstash's filters, with their names and meanings: the language, the filters, and their chains.

`compile_filters(text)` makes a chain of a configuration's text; `chain.apply(event)` filters a decoded event.
`LogstashFilters(text)`, `Grok(match=...)`, `When(condition, [...])` and the others are PTransforms on event batches.

- `language`: a text becomes a tree.    - `values`: events, references and templates.    - `fields`: changes and kernels.
- `filters`: a file per filter.    - `compile`, `chain`: a tree becomes a chain.    - `beam`, `filter_transforms`, `routes`.

The names below load when they are first used, so code that only compiles filters does not load Beam.
"""

from typing import TYPE_CHECKING

from penstock.transforms.lazy import lazily

if TYPE_CHECKING:
    from penstock.transforms.logstash._errors import ConfigError
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
        "ConfigError": "_errors",
        "LogstashFilters": "beam",
        "When": "beam",
        "compile_filters": "compile",
    },
)
