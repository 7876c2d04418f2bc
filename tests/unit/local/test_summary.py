import dataclasses

from local.demo.evidence import Arrival, StreamCount
from local.demo.summary import Report, chart, newest, render

REPORT = Report(
    shipper="filebeat",
    files=2,
    lines=100_000,
    acknowledged=100_000,
    resent=200,
    stream=StreamCount(records=700, aggregated=690, events=100_200),
    arrival=Arrival(documents=100_000, missing=0, duplicates=0, strangers=0, examples=[]),
    dead_letters=0,
    seconds=12.5,
    documents=[
        {"@timestamp": "T", "message": "m\x1b[31m" + "é" * 200, "log": {"offset": 5, "file": {"path": "/v"}}}
    ],
    minutes=[(0, 60_000), (60_000, 40_000)],
    seconds_chart=[(n * 1000, n) for n in range(70)],
)


def test_fits_80_columns_and_tells_all():
    for utf8 in (True, False):
        text = render(REPORT, utf8=utf8)
        assert max(map(len, text.splitlines())) <= 80
        for number in ("100,000", "100,200", "700", "8,000", "200 sent again", "T  /v:5"):
            assert number in text
        assert "\x1b" not in text
        assert text.endswith("Every line shipped is in Elasticsearch exactly once.\n")
    assert render(REPORT, utf8=False).isascii()


def test_says_what_is_wrong():
    for change, told in (
        ({"missing": 3, "examples": ["/v:7 (missing)"]}, "3 missing"),
        ({"duplicates": 2}, "2 stored twice"),
    ):
        report = dataclasses.replace(REPORT, arrival=dataclasses.replace(REPORT.arrival, **change))
        assert not report.exactly_once
        assert told in render(report)
        assert "NOT every line" in render(report)
    report = dataclasses.replace(REPORT, dead_letters=1)
    assert not report.exactly_once
    assert "1 refused" in render(report)


def test_bars_are_in_proportion():
    lines = chart([(0, 480), (60_000, 240), (120_000, 1), (180_000, 0)], 60)
    assert [line.count("█") for line in lines] == [48, 24, 0, 0]
    assert lines[2].endswith("▏")
    assert [line.split()[0] for line in lines] == ["00:00", "00:01", "00:02", "00:03"]
    assert lines[3].split() == ["00:03", "0"]


def test_a_long_chart_keeps_its_newest_rows_and_every_event():
    buckets = [(n * 1000, 10) for n in range(40)]
    lines = chart(buckets, 1)
    assert len(lines) == 16
    assert lines[0].split() == ["earlier", "250"]
    assert lines[-1].split()[0] == "00:00:39"


def test_documents_without_the_usual_fields():
    assert newest([{}]) == ["    ?  ?:?", "      "]
    assert chart([], 60) == []
