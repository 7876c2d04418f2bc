"""The shipped grok patterns on lines that the shared cases do not hold, as Logstash's patterns 4.3.4 match them."""

import pytest

from penstock.transforms.logstash import compile_filters

LINES = [
    ("v8", "BACULA_LOG_DUPLICATE", "Fatal Error: JobId 7 already running. Duplicate job not allowed.",
     {"bacula": {"job": {"other_id": "7"}}}),
    ("v8", "BACULA_LOG", "01-Feb 00:34 fd JobId 1: Fatal Error: No Job status returned from FD.",
     {"timestamp": "01-Feb 00:34", "host": {"hostname": "fd"}, "bacula": {"job": {"id": "1"}}}),
    ("v8", "BACULA_LOG", "01-Feb 00:34 fd JobId 1: Fatal Error: Job canceled because max start delay time exceeded.",
     {"timestamp": "01-Feb 00:34", "host": {"hostname": "fd"}, "bacula": {"job": {"id": "1"}}}),
    ("v8", "BACULA_LOG_NOSTAT", '  Could not stat "/x": ERR=none', {"file": {"path": '"/x"'}, "error": {"message": "none"}}),
    ("disabled", "BACULA_LOG_NO_AUTH",
     'Fatal error: Unable to authenticate with File daemon at "a.b:9102". Possible causes:',
     {}),
    ("disabled", "BACULA_LOG_VOLUME_PREVWRITTEN", "Volume test01 previously written, moving to end of data.", None),
    ("disabled", "BIND9",
     "05-May-2017 23:54:23.001 queries: info: client @0x7f6 10.0.0.1#64433 (a.com): query: a.com IN A + (172.1.1.1)",
     {"timestamp": "05-May-2017 23:54:23.001", "loglevel": "info", "clientip": "10.0.0.1", "clientport": "64433",
      "query": ["a.com", "a.com"], "querytype": "A +", "dns": "172.1.1.1"}),
    ("disabled", "SQUID3",
     "1525344856.899  16867 10.170.72.111 TCP_TUNNEL/000 6256 CONNECT logs.ip138.com:443 - HIER_NONE/- -",
     {"timestamp": "1525344856.899", "duration": "16867", "client_address": "10.170.72.111", "cache_result": "TCP_TUNNEL",
      "status_code": "000", "bytes": "6256", "request_method": "CONNECT", "url": "logs.ip138.com:443", "user": "-",
      "hierarchy_code": "HIER_NONE", "content_type": "-"}),
    ("v8", "MONGO_SLOWQUERY", "query a.b q: { x: 1 } ntoreturn:1 other:2 nscanned:3 nreturned:4 5ms", None),
    ("v8", "NAGIOS_TIMEPERIOD_TRANSITION", "TIMEPERIOD TRANSITION: 24X7;-1.5;1",
     {"nagios": {"log": {"type": "TIMEPERIOD TRANSITION", "period_from": -1, "period_to": 1}}, "service": {"name": "24X7"}}),
    ("disabled", "UNIXPATH:p", "/v\u00e4r/log\\\\x", {"p": "/v\u00e4r/log"}),
    ("v8", "HAPROXYDATE", "06/Feb/2009:12:12:09,655", {}),
    ("v8", "EXIM_NAMED_FIELDS", ' X="a b" S=5', {"exim": {"log": {"message": {"size": 5}}}}),
]  # fmt: skip


@pytest.mark.parametrize(("ecs", "name", "text", "fields"), LINES)
def test_a_line(ecs, name, text, fields):
    chain = compile_filters(
        f'filter {{ grok {{ match => {{ "line" => "^%{{{name}}}" }} }} }}', ecs_compatibility=ecs
    )
    (made,) = chain.apply({"line": text})
    failed = made.pop("tags", None) == ["_grokparsefailure"]
    for other in ("line", "@version", "@timestamp"):
        del made[other]
    assert (None if failed else made) == fields
