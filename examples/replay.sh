#!/usr/bin/env bash
# What Elasticsearch refused, sent again once the reason is gone: here a field that was a number in the index and a text
# in one event.
#
#   ELASTICSEARCH=http://localhost:9200 examples/replay.sh
set -euo pipefail
hosts=${ELASTICSEARCH:-http://localhost:9200}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

printf '%s\n' '{"message": "fine", "took": 7}' '{"message": "refused at first", "took": "long"}' > "$folder/events.jsonl"

create='{"mappings": {"properties": {"took": {"type": "long"}}}}'
curl -fsS -X PUT "$hosts/replay-example" -H 'Content-Type: application/json' -d "$create" > "$folder/reply"

# Exit code 1 says that something was refused and kept.
penstock s3-to-elasticsearch --input "$folder/events.jsonl" --hosts "$hosts" --index replay-example \
    --dead_letters "file://$folder/refused.jsonl" && exit 1

# The mapping of an index is for ever; a new index takes both kinds.
penstock replay-dead-letters --dead_letters "file://$folder/refused.jsonl" --hosts "$hosts" --index replay-example-text \
    --refused_again "file://$folder/again.jsonl"

curl -fsS -X POST "$hosts/replay-example-text/_refresh" > "$folder/reply"
curl -fsS "$hosts/replay-example-text/_search?q=took:long&filter_path=hits.hits._source.message,hits.hits._source.took"
echo
