"""Logstash's filters: CPU-seconds per million events, from an event's bytes to the bytes that a sink writes.

usage: python -P benchmarks/filters.py [CHAIN ...] [--events N] [--rounds N] [--peers]

Each chain is measured in batches of 100, with the decoding and the encoding of its events, beside what these two cost
alone and, for grok, beside a bare match of such an expression by `re` (as far as `re` can) with nothing around it.

access      COMBINEDAPACHELOG by grok, date, useragent, mutate's rename and remove
grok        COMBINEDAPACHELOG and date      fail        a grok that matches no line
dissect     dissect and date                kv          ten pairs                chain   20 mutates and 5 conditions
outputs     eight conditions around outputs, and one, without any filter (goal: 0.3 us each beside the decoding)

--peers     beside `grok`: elastic/go-grok, and a bare match by Joni, the engine of Logstash; needs go, java and mvn, and
            fetches both
"""

import argparse
import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from penstock.transforms.batch import Event, EventBatch
from penstock.transforms.document import payload_of
from penstock.transforms.events import apply
from penstock.transforms.logstash import LogstashFilters
from penstock.transforms.logstash.filters.patterns import pattern_set
from penstock.transforms.logstash.filters.patterns._expand import expand
from penstock.transforms.logstash.language._parser import parse_condition
from penstock.transforms.logstash.language._tree import Places
from penstock.transforms.logstash.routes import FilterAndRoute, Route

BATCH = 100
HERE = Path(__file__).parent
sys.path.append(str(HERE))

from harness import cpu_per_million, load_package, print_table, rounds

load_package("tests")

from tests.tools.samples.events import ToyOrigin

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>penstock</groupId><artifactId>peers</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.jruby.joni</groupId><artifactId>joni</artifactId><version>2.2.1</version></dependency>
</dependencies></project>
"""
GROK = 'grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }'
DATE = 'date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] }'
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
# Twenty mutates in the proportions in which 646 public configurations use their operations.
MUTATES = """
  mutate { rename => { "a" => "b" } }
  mutate { rename => { "c" => "[event][code]" } }
  mutate { rename => { "e" => "[source][ip]" } }
  mutate { rename => { "missing" => "never" } }
  mutate { rename => { "f" => "g" } }
  mutate { rename => { "[log][level]" => "level" } }
  mutate { rename => { "absent" => "[never][too]" } }
  mutate { rename => { "h" => "[destination][ip]" } }
  mutate { add_field => { "env" => "prod" } }
  mutate { add_field => { "[event][module]" => "shop" } }
  mutate { add_field => { "index" => "logs-%{b}" } }
  mutate { add_field => { "[event][dataset]" => "shop.%{level}" } }
  mutate { remove_field => ["x", "y"] }
  mutate { remove_field => ["message"] }
  mutate { convert => { "n" => "integer" } }
  mutate { convert => { "took" => "float" } }
  mutate { add_tag => ["seen"] }
  mutate { copy => { "b" => "copied" } }
  mutate { replace => { "type" => "%{b}-%{g}" } }
  mutate { gsub => ["path", "/", "_"] }
"""
CONDITIONS = """
  if [level] == "error" { mutate { add_tag => ["bad"] } }
  if "seen" in [tags] and [n] > 5 { mutate { replace => { "big" => "yes" } } }
  if [path] =~ /^_var/ { mutate { lowercase => ["level"] } }
  if ![missing] { mutate { uppercase => ["g"] } }
  if [level] in ["INFO", "WARN"] { mutate { remove_field => ["d"] } } else { mutate { update => { "d" => "z" } } }
"""
DISSECT = """dissect { mapping => { "message" => '%{ip} - %{user} [%{timestamp}] "%{request}" %{status} %{rest}' } }"""
RENAMES = (
    "mutate { rename => { '[source][address]' => '[client][ip]' } remove_field => ['message', 'timestamp'] }"
)
USERAGENT = "useragent { source => '[user_agent][original]' }"
BROKEN: list[Callable[[str], str]] = [
    lambda line: line.replace('"GET', "'GET"),
    lambda line: line.replace(" 200 ", " OK "),
    lambda line: line.replace("Nov", "13"),
    lambda line: "so many words that are no address stand before it: " + line.replace(" 200 ", " OK "),
    lambda line: line[:-5],
]
"""What makes a line one that no expression matches: a literal is missing, or a part in the middle, at the start, the end."""
CHAINS = {
    "access": (f"filter {{ {GROK} {DATE} {USERAGENT} {RENAMES} }}", 14.0),
    "grok": (f"filter {{ {GROK} {DATE} }}", 9.0),
    "fail": (f"filter {{ {GROK} }}", 0.0),
    "dissect": (f"filter {{ {DISSECT} {DATE} }}", 5.0),
    "kv": ("filter { kv { } }", 6.0),
    "chain": (f"filter {{ {MUTATES} {CONDITIONS} }}", 5.0),
}


def payload(chain: str, number: int) -> bytes:
    """An event of the kind that a chain is made for."""
    document: dict[str, object] = {"@timestamp": "2026-11-22T12:00:00.000Z", "host": {"name": "web-1"}}
    line = (
        f'10.0.{number % 250}.7 - frank [22/Nov/2026:12:{number % 60:02}:00 +0000] "GET /item/{number} HTTP/1.1" 200 '
        f'{number % 5000} "https://shop.example/cart" "{AGENT}"'
    )
    if chain == "kv":
        line = " ".join(f"key{pair}=value{number + pair}" for pair in range(10))
    if chain == "fail":
        line = BROKEN[number % len(BROKEN)](line)
    document["message"] = line
    if chain == "chain":
        document = {
            "@timestamp": "2026-11-22T12:00:00.000Z", "a": f"a{number}", "c": 17, "d": "dd", "e": "10.1.2.3", "f": "ff",
            "h": "10.4.5.6", "log": {"level": "INFO"}, "n": str(number % 10), "took": "1.5", "path": f"/var/log/{number}",
            "x": 1, "y": None, "message": "m" * 100,
        }  # fmt: skip
    return orjson.dumps(document)


def measure(work: Callable[[list[Event]], object], payloads: list[bytes]) -> Callable[[], float]:
    """A contender: events are made anew for each round, outside of what is measured."""

    def contender() -> float:
        origin = ToyOrigin()
        batches = [
            [
                Event(data, origin, number, id=f"id-{number}")
                for number, data in enumerate(payloads[at : at + BATCH])
            ]
            for at in range(0, len(payloads), BATCH)
        ]

        def run() -> int:
            for batch in batches:
                work(batch)
            return len(payloads)

        return cpu_per_million(run)

    return contender


OUTPUTS = (
    "[c] >= 10", "[log][level] == 'INFO'", "'a' in [tags]", "[path] =~ /9$/", "[d] != 'x'", "[f] in ['ff', 'g']", "![nope]",
    "[c] < 10 or [took] == '1.5'",
)  # fmt: skip


def routed(conditions: Sequence[str]) -> Callable[[list[Event]], object]:
    """Decides to which outputs events go."""
    routes = [Route(text, parse_condition(text), Places(text)) for text in conditions]
    do_fn = FilterAndRoute([], routes=routes).do_fn

    def work(batch: list[Event]) -> object:
        (made,) = do_fn.process(EventBatch(None, batch, []))
        assert not made.dead_letters
        return made

    return work


def conditions_of_outputs(count: int, number: int) -> None:
    payloads = [payload("chain", each) for each in range(count)]
    contenders = {
        "eight conditions": measure(routed(OUTPUTS), payloads),
        "one condition": measure(routed(OUTPUTS[:1]), payloads),
        "decode alone": measure(lambda batch: [orjson.loads(event.data) for event in batch], payloads),
    }
    print_table(f"outputs: {count} events", rounds(contenders, number))


def bare_match(payloads: list[bytes]) -> Callable[[list[Event]], object]:
    """Nothing but `re` on the message, by an expression like COMBINEDAPACHELOG's without its alternatives."""
    pattern = re.compile(
        r'(?P<address>[\w.:-]+) (?P<ident>\S+) (?P<auth>\S+) \[(?P<time>[^\]]+)\] "(?:(?P<verb>\w+) (?P<request>\S+)'
        r'(?: HTTP/(?P<version>[\d.]+))?|(?P<raw>.*?))" (?P<status>\d+|-) (?P<bytes>\d+|-) "(?P<referrer>[^"]*)" '
        r'"(?P<agent>[^"]*)"'
    )
    lines = iter([orjson.loads(data)["message"] for data in payloads] * 100)
    return lambda batch: [pattern.search(next(lines)) for _ in batch]


def build(name: str, command: list[str], files: dict[str, str]) -> Path:
    """A folder in which a command was run beside these files, once for all runs."""
    home = Path(tempfile.gettempdir()) / f"penstock-peer-{name}"
    if not (home / "built").exists():
        home.mkdir(exist_ok=True)
        for file, text in files.items():
            (home / file).write_text(text)
        subprocess.run(command, cwd=home, check=True, stdout=sys.stderr, timeout=600)
        (home / "built").touch()
    return home


def peers(payloads: list[bytes]) -> dict[str, Callable[[], float]]:
    """The contenders that are programs of their own; each says what a line cost it."""
    lines = "".join(orjson.loads(data)["message"] + "\n" for data in payloads)
    module = "module peer\n\ngo 1.24\n\nrequire github.com/elastic/go-grok v0.3.1\n"
    go = build(
        "go-grok",
        ["sh", "-c", "go mod tidy && go build -o peer ."],
        {"go.mod": module, "main.go": (HERE / "peers" / "grok.go").read_text()},
    )
    joni = build(
        "joni",
        ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
        {"pom.xml": POM, "Joni.java": (HERE / "peers" / "Joni.java").read_text()},
    )
    expression = expand("%{COMBINEDAPACHELOG}", pattern_set(ecs=True))

    def contender(command: list[str], text: str) -> Callable[[], float]:
        return lambda: float(
            subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
        )

    return {
        "elastic/go-grok": contender([str(go / "peer")], lines),
        "a bare match by Joni": contender(
            ["java", "-cp", f"{joni}/lib/*", str(joni / "Joni.java")], f"{expression}\n{lines}"
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", nargs="*", metavar="CHAIN", help=", ".join(CHAINS))
    parser.add_argument("--events", type=int, default=5_000, help="events a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args()
    gc.collect()
    gc.freeze()
    for name in given.chains or (*CHAINS, "outputs"):
        if name == "outputs":
            conditions_of_outputs(given.events, given.rounds)
            continue
        text, goal = CHAINS[name]
        payloads = [payload(name, number) for number in range(given.events)]
        run = LogstashFilters(text)._function

        def filtered(batch: list[Event], run: Callable[..., list[Event]] = run) -> object:
            events, letters, _ = apply(run, batch, "filters")
            assert not letters, letters[0].reason
            return [payload_of(event) for event in events]

        contenders = {
            name: measure(filtered, payloads),
            "decode and encode alone": measure(
                lambda batch: [orjson.dumps(each) for each in [orjson.loads(event.data) for event in batch]],
                payloads,
            ),
        }
        if name == "fail":
            matched = [payload("grok", number) for number in range(given.events)]
            contenders = {"fail": contenders[name], "a match": measure(filtered, matched), **contenders}
        if name in ("grok", "access"):
            contenders["a bare match by re"] = measure(bare_match(payloads), payloads)
        if name == "grok" and given.peers:
            contenders |= peers(payloads)
        print_table(
            f"{name}: {given.events} events", rounds(contenders, given.rounds), {name: goal} if goal else None
        )


if __name__ == "__main__":
    main()
