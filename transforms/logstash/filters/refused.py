"""`refused` says why a filter is missing here, and what to do instead."""

from penstock.transforms.logstash.filters import FILTERS
from penstock.transforms.options import did_you_mean

__all__ = ["why_refused"]

_INSTEAD = {
    "age": "compute it where it is asked, from @timestamp",
    "aggregate": "it needs all events in one place and Ruby; aggregate in Elasticsearch (a transform), or in a Beam job",
    "alter": 'use mutate under a condition: if [a] == "x" { mutate { replace => { ... } } }',
    "anonymize": "use fingerprint with method, key and source, and target naming the same field",
    "checksum": "use fingerprint with concatenate_sources",
    "cipher": "encrypt before or behind the job; a key does not belong into a configuration",
    "cl": "use python { code => '...' }",
    "collate": "Elasticsearch sorts when it is asked",
    "dns": "resolve names where events are made (Beats: the processor dns), so that a replay finds the same",
    "elapsed": "compute it in Elasticsearch (a transform), or in a Beam job",
    "elasticsearch": "use an enrich policy of Elasticsearch, or translate with a dictionary file",
    "environment": 'use mutate { add_field => { "name" => "${NAME}" } }',
    "extractnumbers": "use grok with %{NUMBER:name}",
    "http": "ask other servers where events are made, or use translate with a dictionary file",
    "i18n": "use mutate { gsub => ... }, or python { code => '...' }",
    "java_uuid": "use uuid, which does the same",
    "jdbc_static": "export the table into a dictionary file for translate",
    "jdbc_streaming": "export the table into a dictionary file for translate",
    "json_encode": "use python { code => '...' } with json.dumps",
    "kubernetes_metadata": "let Filebeat add it (add_kubernetes_metadata)",
    "language": "detect it in an ingest pipeline of Elasticsearch",
    "lookup": "use translate with a dictionary file",
    "math": "use python { code => '...' }",
    "memcached": "use translate with a dictionary file",
    "metaevent": "use a condition and mutate",
    "metricize": "use clone and mutate, or python { code => '...' }",
    "metrics": "it makes events of its own; the job's own metrics count events (see docs/operating.md)",
    "multiline": "join lines where they are read (Filebeat: the parser multiline)",
    "oui": "use translate with a dictionary file",
    "punct": "use fingerprint { method => PUNCTUATION }",
    "range": "use conditions: if [n] and [n] > 5 { ... }",
    "rest": "ask other servers where events are made, or use translate with a dictionary file",
    "ruby": "use python { code => '...' } in the same place (see docs/filters.md), or mutate, grok and conditions",
    "sleep": "take it out: the job slows down by itself when Elasticsearch or the stream does",
    "threats_classifier": "ask it behind Elasticsearch",
    "tld": "use grok, or python { code => '...' }",
    "unique": "use python { code => '...' }",
    "varnish": "use grok",
    "wurfl_device_detection": "use useragent",
    "xml": "use grok or dissect for single values, python { code => '...' } with xml.etree for whole documents",
    "yaml": "use python { code => '...' }",
    "zeromq": "it needs another process; use python { code => '...' }",
}


def why_refused(name: str) -> str:
    """Gives the text for a configuration that names the filter `name`, which is missing here."""
    if name in _INSTEAD:
        return f"the filter {name} is not supported: {_INSTEAD[name]}"
    hint = did_you_mean(name, [*FILTERS, *_INSTEAD])
    return f"no filter is called {name}{hint or '; docs/filters.md lists those that are here'}"
