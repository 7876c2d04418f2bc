"""A batch's parts go with it: in a circle they would stay until the garbage collector comes, seldom here."""

import contextlib
import gc
import io
import threading
import types

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.io.archive.files import encode
from penstock.io.aws.session import AwsOptions
from penstock.io.beats.origin import BeatsClient
from penstock.io.beats.prepare import enrich, validate
from penstock.io.beats.wire._limits import Limits
from penstock.io.beats.wire._protocol import Receiver
from penstock.io.chain.live_objects import LIVE
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elasticsearch.writer import BulkWriter
from penstock.io.errors import PeerError
from penstock.io.kinesis.positions import KinesisRecord
from penstock.io.s3.objects import LocalFiles, S3Objects
from penstock.io.s3.options import S3ReadOptions
from penstock.io.s3.origin import WorkUnit
from penstock.io.s3.reading import UnitReader
from penstock.transforms.batch import Event
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.events import MapEvents, apply
from penstock.transforms.logstash.beam import RunFilters
from penstock.transforms.logstash.settings import FilterOptions
from tests.simulator import KinesisSimulator
from tests.tools.models.write_bench import STREAM, Bench
from tests.tools.peers.fake_http import fake_http
from tests.tools.peers.lumberjack import whole_window
from tests.tools.samples.events import batch, event, filebeat_events

DATAS = [*filebeat_events()[:50], b"nope", b'[{"n":1},[2],{"n":3}]']
THROTTLED = "ProvisionedThroughputExceededException"


def events():
    return [event(data, number) for number, data in enumerate(DATAS)]


def decoded():
    return DecodeOptions().decoder(keep_documents=True).decode(events())


def kinesis(plane):
    """Records are refused, thrown away with their reply, and land in a shard that is split."""

    def prepared(stack, folder):
        simulator = stack.enter_context(KinesisSimulator())
        simulator.create_stream(STREAM, shards=1)
        bench = Bench(simulator, plane)
        stack.callback(bench.pool.shutdown)
        writer = bench.writer(randomized_partition_key=True, aggregation_max_size=2000)

        def work():
            simulator.faults.refuse_records(THROTTLED, share=0.5, times=1)
            simulator.faults.reset("PutRecords", after=True)
            simulator.split(STREAM, simulator.stream(STREAM).shards[-1].shard_id)
            assert len(writer.write([*DATAS, b"x" * (2 << 20)], None)) == 1

        return work

    return prepared


def elasticsearch(stack, folder):
    class Peer:
        where = "http://fake:9200"
        calls = 0

        def root(self):
            return 200, {"version": {"number": "9.4.3"}}

        def speak(self, dialect):
            pass

        def bulk(self, body):
            self.calls += 1
            count = body.count(b"\n") // 2
            item = {"create": {"status": (429, 201)[self.calls % 2], "error": {"type": "t", "reason": "r"}}}
            refused = {"create": {"status": 400, "error": {"type": "t", "reason": "r"}}}
            return 200, orjson.dumps({"errors": True, "items": [item] * (count - 1) + [refused]})

        def close(self):
            pass

    options = ElasticsearchOptions(retry_initial_interval=0.001, bulk_max_count=20)
    writer = BulkWriter(options, threading.Event(), client=Peer())
    stack.callback(writer.close)
    return lambda: writer.write(decoded()[0])


def beats(stack, folder):
    receiver = Receiver(Limits())
    kinds = ["source_metadata"]
    client = BeatsClient("10.1.2.3", 4711)

    def work():
        receiver.receive(whole_window(DATAS))
        stretch = receiver.next_stretch()
        received = batch(*(Event(data, client, number) for number, data in enumerate(stretch.payloads)))
        enrich(validate(received), kinds)

    return work


def filters(stack, folder):
    config = folder / "filters.conf"
    config.write_text('filter { grok { match => { "message" => "%{WORD:w}" } } split { field => "w" } }')
    run = RunFilters(FilterOptions(filters=str(config)).step)
    return lambda: apply(run, decoded()[0], "logstash_filters")


def functions(stack, folder):
    return lambda: apply(MapEvents(lambda document: document["none"])._function, decoded()[0], "map")


def codec(**options):
    decoder = DecodeOptions(**options).decoder(keep_documents=True)
    return lambda stack, folder: lambda: decoder.decode(events())


def s3_put(stack, folder):
    peer = stack.enter_context(fake_http(lambda request: (500, b"<html>")))
    store = S3Objects(AwsOptions(access_key="a", secret_key="b", endpoint_url=peer.url))

    def work():
        with pytest.raises(PeerError):
            store.put_new("bucket", "key", b"x" * 1000, "text/plain")

    return work


def objects(content, **options):
    def prepared(stack, folder):
        stack.callback(LIVE.close)
        path = folder / "object"
        path.write_bytes(content)
        store = LocalFiles()
        unit = WorkUnit(store.stat("", str(path)))
        return lambda: list(UnitReader(unit, S3ReadOptions(input=["x"], **options), store).pieces())

    return prepared


def archive(stack, folder):
    origin = KinesisRecord("s", "shardId-000000000000", "7", "k", 1_795_000_000_000, 0)
    kept = [Event(data, origin, number) for number, data in enumerate(DATAS)]
    return lambda: [encode(kept, kind, "zstd") for kind in ("parquet", "avro", "json")]


def parquet():
    output = io.BytesIO()
    pq.write_table(pa.table({"n": range(50)}), output)
    return output.getvalue()


STEPS = {
    "kinesis write, thin": kinesis("thin"),
    "kinesis write, boto3": kinesis("boto3"),
    "elasticsearch": elasticsearch,
    "beats": beats,
    "filters": filters,
    "functions": functions,
    "json": codec(),
    "json, expanded": codec(expand="l"),
    "plain": codec(codec="plain"),
    "cloudwatch_logs": codec(codec="cloudwatch_logs"),
    "a form of AWS": codec(codec="alb"),
    "columns": codec(codec="csv"),
    "s3 put": s3_put,
    "lines": objects(b"\n".join([*DATAS, b"x" * 200_000]), max_line_bytes=100_000),
    "array": objects(b"[" + b",".join(DATAS[:50]) + b"] and more"),
    "parquet": objects(parquet()),
    "damaged parquet": objects(parquet()[:-50]),
    "archive": archive,
}


def name_of(found):
    if isinstance(found, types.FrameType):
        return f"{found.f_globals['__name__']}.{found.f_code.co_qualname}"
    return f"{type(found).__module__}.{type(found).__qualname__}"


@pytest.mark.parametrize("step", STEPS)
def test_no_step_leaves_its_batch_to_the_garbage_collector(tmp_path, step):
    with contextlib.ExitStack() as stack:
        gc.freeze()  # what was there before is looked at by no collection: each would take a third of a second
        stack.callback(gc.unfreeze)
        work = STEPS[step](stack, tmp_path)
        work()
        gc.collect()
        stack.callback(gc.enable)
        stack.callback(gc.garbage.clear)
        stack.callback(gc.set_debug, 0)
        gc.disable()
        work()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours = [name for name in map(name_of, gc.garbage) if name.startswith("penstock")]
    assert ours == []
