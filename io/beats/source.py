"""`ReadFromBeats` reads the events of Filebeat and other Beats, as batches of bytes."""

import dataclasses
import functools
from typing import Any, Unpack

import apache_beam as beam

from penstock.io.beats.options import BeatsOptions
from penstock.io.beats.prepare import PrepareDoFn
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.chain.live_objects import LiveSource
from penstock.io.chain.unbounded import read_batches, readers_of
from penstock.io.elements import options_of, takes
from penstock.io.errors import OptionError
from penstock.io.keywords.beats import ReadKeywords
from penstock.io.options import display_data_of

__all__ = ["ReadFromBeats", "key_of"]


def key_of(options: BeatsOptions) -> str:
    """Gives the live source's key: a process has one listening socket per host and port."""
    return f"beats {options.host}:{options.port}"


@takes(BeatsOptions)
class ReadFromBeats(beam.PTransform):
    """Reads events that Beats send (the Lumberjack protocol, as Logstash's beats input speaks it).

    Gives `EventBatch`es of payloads as they came: nothing is parsed, unless `validate` asks for it. Version 1 events
    become one JSON object each.

    Metrics (namespace `beats`): connections, connections_open, windows, events, bytes_received, bytes_inflated,
    pending_events, pending_bytes, ack_latency_ms, acks, keepalives, and closed_REASON for why connections ended.

    Unit of parallelism: the process, which uses about one core. One listening socket serves all clients of a
    worker, and every reader of that worker borrows it. Several processes of a host can share the port (`share_port`): Beam
    workers (`readers`), or the same job started several times. The kernel spreads new connections over them.
    Delivery guarantee: at least once. A client hears that its window is safe when `Acknowledge`, the last step of
    the chain, has seen all its events, not before; if anything fails, it hears nothing and sends again.
    After a restart: clients connect again and repeat every window that was not acknowledged.

    There is no `output` as `ReadFromKinesis` has it. Such a read is acknowledged by Beam's bundle finalization, and Flink
    finalises bundles that are in no checkpoint yet: after a failure it goes back to before them. A stream can be read again
    from there, but a Beat forgets what is acknowledged. A Beat's window would also wait for each checkpoint, so that a
    connection carries two windows per checkpoint at most. For windows, joins and rows, let `beats-to-kinesis` fill a
    stream and read that with `output`; for counts that may lack some events, put `AsElements` beside the chain.

    Args:
        options: where to listen, and the limits; or the same as keywords: `port`, `host`, and every other field of
            `BeatsOptions`.
    """

    def __init__(self, options: BeatsOptions | None = None, **arguments: Unpack[ReadKeywords]) -> None:
        super().__init__()
        if "output" in arguments:
            message = (
                "ReadFromBeats gives batches only: a Beat can't send again what Beam has acknowledged and then lost. "
                "Write into a stream, and read that by ReadFromKinesis(output=...); or put AsElements beside the chain."
            )
            raise OptionError(message)
        (options,) = options_of("ReadFromBeats", arguments, {BeatsOptions: options})
        self._options = options

    def display_data(self) -> dict[str, Any]:  # noqa: D102
        return display_data_of(self._options)

    def expand(self, pipeline_begin: beam.pvalue.PBegin) -> beam.PCollection:  # noqa: D102
        options = self._options
        key = key_of(options)
        readers = readers_of(pipeline_begin, options.readers, "--beats_readers")
        if readers > 1:
            options = dataclasses.replace(options, share_port=True)
        prepare = PrepareDoFn(key, options.validate, options.enrich_kinds())
        serve = functools.partial(_serve, options)
        batches = read_batches(pipeline_begin, key, serve, readers=readers)
        return batches | "Prepare" >> beam.ParDo(prepare)


def _serve(options: BeatsOptions, key: str) -> LiveSource:
    return BeatsServer(key, options)
