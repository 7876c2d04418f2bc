"""Sixty documents that Elasticsearch refuses, each for a reason of its own, among some that it takes.

One run of a backfill: each refused document costs itself, and its letter says why.
"""

import subprocess
import sys

import orjson

MAPPINGS = {
    "properties": {
        "long": {"type": "long"}, "integer": {"type": "integer"}, "short": {"type": "short"}, "byte": {"type": "byte"},
        "float": {"type": "float"}, "half": {"type": "half_float"}, "date": {"type": "date"}, "flag": {"type": "boolean"},
        "day": {"type": "date", "format": "yyyy-MM-dd"}, "ip": {"type": "ip"}, "object": {"type": "object"},
        "nested": {"type": "nested"}, "keyword": {"type": "keyword"}, "text": {"type": "text"}, "binary": {"type": "binary"},
        "point": {"type": "geo_point"}, "whole": {"type": "integer_range"}, "dates": {"type": "date_range"},
        "ips": {"type": "ip_range"}, "strict": {"type": "object", "dynamic": "strict"}, "words": {"type": "completion"},
        "alias": {"type": "alias", "path": "keyword"}, "vector": {"type": "dense_vector", "dims": 2},
    }
}  # fmt: skip
SETTINGS = {
    "index.mapping.depth.limit": 10,
    "index.mapping.total_fields.limit": 60,
    "index.mapping.nested_objects.limit": 5,
}

TAKEN = [
    b'{"long":1}', b'{"flag":true}', b'{"keyword":"k"}', b'{"date":"2026-11-28T00:00:00Z"}', b'{"ip":"10.0.0.1"}', b"{}",
    b'{"long":""}', b'{"binary":"***"}', b'{"y.":1}',
]  # fmt: skip

REFUSED = {
    b'{"long":"text"}': 'For input string: "text"',
    b'{"long":{"a":1}}': 'Cannot parse object as number',
    b'{"long":9223372036854775808}': 'Numeric value (9223372036854775808) out of range of long',
    b'{"long":1e30}': 'Numeric value (1e30) out of range of long',
    b'{"long":[1,"x"]}': 'For input string: "x"',
    b'{"long":true}': 'Current token (VALUE_TRUE) not numeric, can not use numeric valu',
    b'{"integer":2147483648}': 'Numeric value (2147483648) out of range of int',
    b'{"integer":"1.5x"}': 'For input string: "1.5x"',
    b'{"short":32768}': 'Numeric value (32768) out of range',
    b'{"byte":128}': 'Value [128] is out of range for a byte',
    b'{"byte":-129}': 'Value [-129] is out of range for a byte',
    b'{"float":"NaN"}': '[float] supports only finite values, but got [NaN]',
    b'{"float":"text"}': 'For input string: "text"',
    b'{"float":1e39}': '[float] supports only finite values, but got [Infinity]',
    b'{"half":65536}': '[half_float] supports only finite values, but got [65536.0]',
    b'{"float":{}}': 'Cannot parse object as number',
    b'{"date":"yesterday"}': 'failed to parse date field [yesterday] with format [strict_date_',
    b'{"date":"2026-13-01"}': 'failed to parse date field [2026-13-01] with format [strict_date',
    b'{"date":"28.11.2026"}': 'failed to parse date field [28.11.2026] with format [strict_date',
    b'{"date":{"a":1}}': 'Cannot parse object or array as a date value',
    b'{"date":true}': 'failed to parse date field [true] with format [strict_date_optio',
    b'{"day":"2026-11-28T00:00:00Z"}': 'failed to parse date field [2026-11-28T00:00:00Z] with format [y',
    b'{"day":20261128}': 'failed to parse date field [20261128] with format [yyyy-MM-dd]:',
    b'{"flag":"yes"}': 'Failed to parse value [yes] as only [true] or [false] are allowe',
    b'{"flag":1}': 'Current token (VALUE_NUMBER_INT) not of boolean type',
    b'{"flag":{"a":1}}': 'Current token (START_OBJECT) not of boolean type',
    b'{"ip":"not an ip"}': "'not an ip' is not an IP string literal.",
    b'{"ip":"10.0.0.256"}': "'10.0.0.256' is not an IP string literal.",
    b'{"ip":1}': "'1' is not an IP string literal.",
    b'{"ip":{"a":1}}': 'Expected text',
    b'{"object":"text"}': 'object mapping for [object] tried to parse field [object] as obj',
    b'{"object":1}': 'object mapping for [object] tried to parse field [object] as obj',
    b'{"object":[1,2]}': 'object mapping for [object] tried to parse field [null] as objec',
    b'{"nested":"text"}': 'object mapping for [nested] tried to parse field [nested] as obj',
    b'{"nested":[1]}': 'object mapping for [nested] tried to parse field [null] as objec',
    b'{"keyword":{"a":1}}': 'Expected text',
    b'{"keyword":"%b"}' % (b"x" * 32767): 'immense term',
    b'{"text":{"a":1}}': 'Expected text',
    b'{"binary":{"a":1}}': 'Malformed content, found extra data after parsing: END_OBJECT',
    b'{"point":"91,0"}': 'failed to parse field [point] of type [geo_point]: illegal latit',
    b'{"point":"nowhere"}': 'failed to parse field [point] of type [geo_point]: unsupported s',
    b'{"point":{"lat":1}}': 'failed to parse field [point] of type [geo_point]: Required [lon',
    b'{"whole":{"gte":2,"lte":1}}': 'min value (2) is greater than max value (1)',
    b'{"whole":{"gte":"x"}}': 'For input string: "x"',
    b'{"whole":5}': 'error parsing field [whole], expected an object but got whole',
    b'{"dates":{"gte":"soon"}}': 'failed to parse date field [soon]',
    b'{"ips":"10.0.0.0/99"}': 'Illegal prefix length [99] in [10.0.0.0/99]. Must be 0-32 for IP',
    b'{"strict":{"new":1}}': 'mapping set to strict, dynamic introduction of [new] within [str',
    b'{"words":{"a":1}}': 'unknown field name [a], must be one of [',
    b'{"words":5}': 'failed to parse [words]: expected text or object, but got VALUE_',
    b'{"alias":"x"}': 'Cannot write to a field alias [alias].',
    b'{"vector":[1]}': 'The [dense_vector] field [vector]',
    b'{"vector":[1,2,3]}': 'The [dense_vector] field [vector]',
    b'{"vector":["a","b"]}': 'Failed to parse object: expecting token of type [VALUE_NUMBER] b',
    b'{"":1}': 'field name cannot be an empty string',
    b'{"a":{"":1}}': 'field name cannot be an empty string',
    b'{"x..y":1}': "field name cannot contain only whitespace: ['x..y']",
    b'{".x":1}': "field name cannot contain only whitespace: ['.x']",
    b'{" ":{" ":1}}': 'Field name cannot contain only whitespace: [ ]',
    b'{"keyword.inner":1}': "Can't get text on a START_OBJECT",
    b'{"long":1,"long":2}': "Duplicate field 'long'",
    b'{"_id":"mine"}': 'Field [_id] is a metadata field and cannot be added inside a doc',
    b'{"_source":1}': 'Field [_source] is a metadata field and cannot be added inside a',
    b'{"_index":"x"}': 'Field [_index] is a metadata field and cannot be added inside a',
    b'{"_routing":"x"}': 'Field [_routing] is a metadata field and cannot be added inside',
    b'{"d1":{"d2":{"d3":{"d4":{"d5":{"d6":{"d7":{"d8":{"d9":{"d10":{"d11":1}}}}}}}}}}}': 'Limit of mapping depth [10]',
    b"{%b}" % b",".join(b'"f%d":1' % n for n in range(100)): 'Limit of total fields [60]',
    b'{"nested":[{},{},{},{},{},{}]}': 'The number of nested documents has exceeded the allowed limit of',
    b'{"long":1e400}': 'Numeric value (1e400) out of range of long',
    b'{"float":-1e39}': '[float] supports only finite values, but got [-Infinity]',
    b'{"@timestamp":{"a":1}}': 'Cannot parse object or array as a date value',
}  # fmt: skip
"""What Elasticsearch says of each, or the telling part of it."""


def test_each_refused_document_costs_itself_and_says_why(elasticsearch, unique_name, tmp_path):
    assert len(REFUSED) >= 60
    client = elasticsearch.client()
    client.indices.create(index=unique_name, mappings=MAPPINGS, settings=SETTINGS)
    documents, letters = tmp_path / "documents.jsonl", tmp_path / "letters.jsonl"
    refused = list(REFUSED)
    lines = [*refused[:30], *TAKEN, *refused[30:]]
    documents.write_bytes(b"".join(each + b"\n" for each in lines))
    command = [sys.executable, "-P", "-m", "penstock", "s3-to-elasticsearch", "--input", f"file://{documents}",
               "--hosts", elasticsearch.url, "--index", unique_name, "--dead_letters", f"file://{letters}"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        client.indices.refresh(index=unique_name)
        stored = client.count(index=unique_name)["count"]
    finally:
        client.indices.delete(index=unique_name)
    found = [orjson.loads(line) for line in letters.read_bytes().splitlines()]
    told = {letter["data"].encode(): letter["reason"] for letter in found}
    assert (done.returncode, stored, len(found)) == (1, len(TAKEN), len(REFUSED)), done.stderr
    assert told.keys() == REFUSED.keys()
    assert {data: said for data, said in REFUSED.items() if said not in told[data]} == {}
    assert {letter["status"] for letter in found} == {400}
