"""Signed bulks: CPU-seconds per million events of the signature, and of what it can't do without, the SHA-256 of each body.

usage: python -P benchmarks/signing.py [--events N] [--rounds N]

AWS takes no bulk without the hash of its body, so that is the floor; the rest is the signer's. The signer costs the same for
every bulk, however large its events are; the hash costs by the byte, so gzip (which is on by default) divides it.
"""

import argparse
import gc
import hashlib
import sys
from pathlib import Path

from elastic_transport import HttpHeaders

from penstock.io.aws.session import AwsOptions
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.cluster.client import compress
from penstock.io.elasticsearch.cluster.signing import Signer

sys.path.append(str(Path(__file__).parent))

from harness import cpu_per_million, events, print_table, rounds

BULK = 1000  # --bulk_max_count
ORIGIN = "https://search-logs.eu-west-1.es.amazonaws.com:443"
HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson", "host": ORIGIN[8:-4]}
HEAD = b'{"create":{"_index":"logs-2026.11.22","_id":"AbCdEfGhIjKlMnOpQrStUvWxYz012"}}\n'


def bodies(count: int, each: int, gzip: bool) -> list[bytes]:
    """Bulks of `count` events, each of `each` times 350 bytes."""
    lines = events(count * each)
    made = [HEAD + b"".join(lines[at : at + each]) + b"\n" for at in range(0, count * each, each)]
    whole = [b"".join(made[at : at + BULK]) for at in range(0, count, BULK)]
    return [compress(body, 1) for body in whole] if gzip else whole


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000, help="events a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    keys = AwsOptions(access_key="AKIAEXAMPLE", secret_key="secret", session_token="session")
    signer = Signer(ElasticsearchOptions(hosts=[ORIGIN]).signed_by(keys))
    count = given.events

    def sign(ready: list[bytes]) -> int:
        for body in ready:
            signer.sign("POST", ORIGIN, "/_bulk?filter_path=errors,items", HttpHeaders(HEADERS), body)
        return count

    def digest(ready: list[bytes]) -> int:
        for body in ready:
            hashlib.sha256(body).hexdigest()
        return count

    for each, size in ((1, "350 bytes"), (3, "1 KB")):
        for gzip in (True, False):
            ready = bodies(count, each, gzip)
            gc.collect()
            gc.freeze()
            how = "gzip" if gzip else "--http_compression false"
            contenders = {
                "floor: SHA-256 of the bodies": lambda ready=ready: cpu_per_million(lambda: digest(ready)),
                "ours: the whole signature": lambda ready=ready: cpu_per_million(lambda: sign(ready)),
            }
            print_table(f"events of {size}, {how}", rounds(contenders, given.rounds), {})


if __name__ == "__main__":
    main()
