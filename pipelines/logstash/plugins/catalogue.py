"""`catalogue` finds a plugin's declaration by its name, and says why a plugin is missing.

Declarations load when they are asked for: a file without S3 does not load S3's code.
"""

import importlib
from typing import Any

from penstock.pipelines.logstash.plugins.declaration import PluginDeclaration
from penstock.transforms.logstash.filters import FILTERS
from penstock.transforms.options import did_you_mean

__all__ = ["PLUGINS", "REFUSED_PLUGINS", "declaration_of", "why_missing"]

PLUGINS = {
    "input": {
        "beats": "beats:BEATS",
        "elastic_agent": "beats:ELASTIC_AGENT",
        "kinesis": "kinesis:KINESIS_INPUT",
        "s3": "s3:S3_INPUT",
        "file": "texts:FILE_INPUT",
        "stdin": "texts:STDIN",
    },
    "output": {
        "kinesis": "kinesis:KINESIS_OUTPUT",
        "elasticsearch": "elasticsearch:ELASTICSEARCH",
        "opensearch": "elasticsearch:OPENSEARCH",
        "amazon_es": "elasticsearch:AMAZON_ES",
        "file": "texts:FILE_OUTPUT",
        "stdout": "texts:STDOUT",
        "null": "texts:NULL",
    },
}
"""Section -> plugin -> where it is declared."""

_FILEBEAT = "let Filebeat read it ({}), and use the input beats"
_STREAM = "write to a Kinesis stream, and let the other system read that"
REFUSED_PLUGINS = {
    "input": {
        "azure_event_hubs": _FILEBEAT.format("azure-eventhub"),
        "cloudwatch": "let Metricbeat read it (aws), and use the input beats",
        "couchdb_changes": "write the changes to a Kinesis stream",
        "dead_letter_queue": "penstock's dead letters are sent again by penstock replay-dead-letters",
        "dynamodb": "let DynamoDB write its changes to a Kinesis stream",
        "elasticsearch": "use Elasticsearch's reindex, or export to S3 and use the input s3",
        "exec": "write the output to a file, and use the input file or Filebeat",
        "ganglia": "let Metricbeat read it, and use the input beats",
        "gelf": _FILEBEAT.format("udp") + " with the filter json",
        "generator": "pipe lines into the input stdin",
        "github": "let GitHub send to a queue that Filebeat reads",
        "google_cloud_storage": _FILEBEAT.format("gcs"),
        "google_pubsub": _FILEBEAT.format("gcp-pubsub"),
        "graphite": "let Metricbeat listen (http, graphite), and use the input beats",
        "heartbeat": "use Heartbeat or Metricbeat, and the input beats",
        "http": _FILEBEAT.format("http_endpoint"),
        "http_poller": _FILEBEAT.format("httpjson"),
        "imap": "fetch the mails into files, and use Filebeat",
        "irc": "use a client that writes a log file, and Filebeat",
        "java_stdin": "use stdin",
        "java_generator": "pipe lines into the input stdin",
        "jdbc": "export the table into files or a Kinesis stream",
        "jms": "write the messages to a Kinesis stream",
        "jmx": "let Metricbeat read it (jolokia), and use the input beats",
        "kafka": _FILEBEAT.format("kafka") + ", or write to Kinesis in its place",
        "log4j": _FILEBEAT.format("the log file"),
        "logstash": "use the input beats, and on the other side the output lumberjack or Filebeat",
        "lumberjack": "use the input beats, which speaks Lumberjack 1 and 2 too",
        "meetup": "fetch it into files, and use Filebeat",
        "pipe": "use the input stdin: COMMAND | penstock logstash -f FILE",
        "pipeline": "put both pipelines into one file, with conditions where events go different ways",
        "puppet_facter": "write the facts into files, and use Filebeat",
        "rabbitmq": "write the messages to a Kinesis stream",
        "redis": _FILEBEAT.format("redis") + ", or write to Kinesis in its place",
        "relp": "let rsyslog write files, and use Filebeat",
        "rss": "fetch it into files, and use Filebeat",
        "s3-sns-sqs": _FILEBEAT.format("aws-s3"),
        "snmp": "let the collector write files, and use Filebeat",
        "snmptrap": "let snmptrapd write a file, and use Filebeat",
        "sqlite": "export the table into files",
        "sqs": _FILEBEAT.format("aws-s3 reads S3's notifications of a queue") + "",
        "stomp": "write the messages to a Kinesis stream",
        "syslog": _FILEBEAT.format("syslog"),
        "tcp": _FILEBEAT.format("tcp"),
        "twitter": "write to a Kinesis stream",
        "udp": _FILEBEAT.format("udp"),
        "unix": _FILEBEAT.format("unix"),
        "websocket": "write to a Kinesis stream",
        "wmi": "use Winlogbeat or Metricbeat, and the input beats",
        "xmpp": "write to a Kinesis stream",
    },
    "output": {
        "boundary": _STREAM,
        "cloudwatch": "the job has metrics of its own in CloudWatch (the output kinesis' metrics_level)",
        "csv": 'use file { codec => line { format => "%{a},%{b}" } }',
        "coralogix_logger": _STREAM,
        "datadog": _STREAM,
        "datadog_metrics": _STREAM,
        "dynatrace": _STREAM,
        "elastic_app_search": _STREAM,
        "elastic_workplace_search": _STREAM,
        "email": "let Kibana's alerts watch the index",
        "exec": "let a consumer of the stream run it",
        "firehose": "write to a Kinesis stream, and let Firehose read that",
        "ganglia": _STREAM,
        "gelf": _STREAM,
        "google_bigquery": "write the archive (penstock kinesis-to-s3), and load that",
        "google_cloud_storage": "write the archive (penstock kinesis-to-s3), and copy it",
        "google_pubsub": _STREAM,
        "graphite": _STREAM,
        "graphtastic": _STREAM,
        "http": _STREAM,
        "influxdb": _STREAM,
        "irc": "let Kibana's alerts watch the index",
        "java_stdout": "use stdout",
        "jdbc": _STREAM,
        "jira": "let Kibana's alerts watch the index",
        "juggernaut": _STREAM,
        "kafka": _STREAM,
        "librato": _STREAM,
        "loggly": _STREAM,
        "loki": _STREAM,
        "logstash": _STREAM,
        "lumberjack": _STREAM,
        "metriccatcher": _STREAM,
        "microsoft-sentinel-log-analytics-logstash-output-plugin": _STREAM,
        "mongodb": _STREAM,
        "nagios": "let Kibana's alerts watch the index",
        "nagios_nsca": "let Kibana's alerts watch the index",
        "newrelic": _STREAM,
        "opentsdb": _STREAM,
        "pagerduty": "let Kibana's alerts watch the index",
        "pipe": "use stdout: penstock logstash -f FILE | COMMAND",
        "pipeline": "put both pipelines into one file, with conditions where events go different ways",
        "rabbitmq": _STREAM,
        "redis": _STREAM,
        "redmine": "let Kibana's alerts watch the index",
        "riak": _STREAM,
        "riemann": _STREAM,
        "s3": "archive the stream with penstock kinesis-to-s3, which loses and doubles nothing",
        "sink": "use null",
        "slack": "let Kibana's alerts watch the index",
        "sns": _STREAM,
        "solr_http": _STREAM,
        "sqs": _STREAM,
        "statsd": _STREAM,
        "stomp": _STREAM,
        "syslog": _STREAM,
        "tcp": _STREAM,
        "timber": _STREAM,
        "udp": _STREAM,
        "webhdfs": "write the archive (penstock kinesis-to-s3), and copy it",
        "websocket": _STREAM,
        "xmpp": "let Kibana's alerts watch the index",
        "zabbix": _STREAM,
    },
}
"""Section -> plugin of Logstash that isn't here -> the way around."""


def declaration_of(section: str, name: str) -> PluginDeclaration | None:
    """Gives the declaration of a plugin; None where it isn't here."""
    place = PLUGINS[section].get(name)
    if place is None:
        return None
    module, _, constant = place.partition(":")
    found: Any = getattr(importlib.import_module(f"{__package__}.{module}"), constant)
    return found  # type: ignore[no-any-return]


def why_missing(section: str, name: str) -> str:
    """Says why no plugin of that name is here, and what to do."""
    if name in REFUSED_PLUGINS[section]:
        return f"the {section} {name} is not supported: {REFUSED_PLUGINS[section][name]}"
    other = {"input": "output", "output": "input"}[section]
    if name in PLUGINS[other]:
        return f"{name} is here as an {other}, not as an {section}"
    if name in FILTERS:
        return f"{name} is a filter: it stands in filter {{ }}"
    hint = did_you_mean(name, [*PLUGINS[section], *REFUSED_PLUGINS[section]])
    hint = hint or f"; there are {', '.join(PLUGINS[section])}"
    return f"no {section} is called {name}{hint}"
