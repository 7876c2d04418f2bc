"""`beam_yaml` makes every step a Beam YAML transform: `penstock.ReadFromKinesis`, `penstock.WriteToElasticsearch`, ...

Beam YAML makes a transform by calling a factory with the step's `config` as keywords; here are the factories. A connector
takes the options of its job by the same names (without the dashes), AWS options among them; the transforms between read and
write take their Python arguments. The names begin with `penstock.`, because Beam has transforms of its own that are called
`ReadFromKinesis` and `WriteToKinesis`.

Secrets are refused in a `config`: Beam copies it into the graph that it sends to a runner, for everybody who may look at
the job to read. They come from the environment, by the names in docs/options.md, or from AWS' credential chain.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from apache_beam import PCollection, PTransform
from apache_beam.utils.python_callable import PythonCallableWithSource

from penstock import transforms
from penstock.io import archive, beats, elasticsearch, kinesis, s3
from penstock.io.aws.session import AwsOptions
from penstock.io.chain.acknowledge import Acknowledge
from penstock.io.chain.read_all import ReadFromAll
from penstock.io.dead_letters import WriteDeadLetters
from penstock.io.elasticsearch import ElasticsearchOptions
from penstock.io.elements import FromElements, WithRefused
from penstock.io.errors import OptionError
from penstock.io.options import flag_of, require_known
from penstock.pipelines.configuration.making import options_from
from penstock.transforms.codecs.options import DecodeOptions
from penstock.transforms.decode import decode_step
from penstock.transforms.logstash import LogstashFilters, When, filter_transforms

__all__ = ["TRANSFORMS", "provider_file"]


def read_from_beats(**config: Any) -> PTransform:
    return beats.ReadFromBeats(*_options("ReadFromBeats", config, beats.BeatsOptions))


def read_from_kinesis(output: str | dict[str, str] | None = None, **config: Any) -> PTransform:
    """`output: row` gives rows of the events' id, time and payload; `output: {user: string}` gives rows of those fields."""
    if "stream_name" in config:
        config.setdefault("kinesis_stream_name", config.pop("stream_name"))
    options = _options("ReadFromKinesis", config, kinesis.KinesisReadOptions, AwsOptions)
    if isinstance(output, dict):
        for kind in output.values():
            require_known("penstock.ReadFromKinesis: output", [kind], _TYPES, "type")
        return kinesis.ReadFromKinesis(*options, output={name: _TYPES[kind] for name, kind in output.items()})
    return kinesis.ReadFromKinesis(*options, output=output)


_TYPES = {"string": str, "integer": int, "number": float, "boolean": bool}
"""Beam YAML's (JSON schema's) names of types."""


def read_from_all(reads: list[dict[str, Any]]) -> PTransform:
    """Makes one read of several endless ones: each with its `type` (without `penstock.`) and its `config`."""
    known = {"ReadFromBeats": read_from_beats, "ReadFromKinesis": read_from_kinesis}
    made = []
    for each in reads:
        name = str(each.get("type", "")).removeprefix("penstock.")
        if name not in known:
            message = f"penstock.ReadFromAll: type {name!r} is none of {', '.join(known)}."
            raise OptionError(message)
        made.append(known[name](**(each.get("config") or {})))
    return ReadFromAll(made)


def read_from_s3(**config: Any) -> PTransform:
    """Lists the objects now, while the pipeline is made, as the job does."""
    source, aws = _options("ReadFromS3", config, s3.S3ReadOptions, AwsOptions)
    return s3.ReadFromS3(None, source, aws, layouts=(archive.LAYOUT,))


def write_to_kinesis(
    id_fn: str | None = None,
    ids: str | None = None,
    error_handling: dict[str, str] | None = None,
    **config: Any,
) -> PTransform:
    options = _options("WriteToKinesis", config, kinesis.KinesisWriteOptions, AwsOptions)
    return _handled(
        "WriteToKinesis", kinesis.WriteToKinesis(*options, id_fn=_function(id_fn), ids=ids), error_handling
    )


def write_to_elasticsearch(
    id_fn: str | None = None,
    ids: str | None = None,
    error_handling: dict[str, str] | None = None,
    **config: Any,
) -> PTransform:
    options, aws = _options("WriteToElasticsearch", config, ElasticsearchOptions, AwsOptions)
    sink = elasticsearch.WriteToElasticsearch(options, aws=aws, id_fn=_function(id_fn), ids=ids)
    return _handled("WriteToElasticsearch", sink, error_handling)


def from_elements(id_fn: str | None = None, **config: Any) -> PTransform:
    return FromElements(id_fn=_function(id_fn), **config)


def _function(source: str | None) -> Any:
    return None if source is None else PythonCallableWithSource(source)


def _handled(name: str, sink: PTransform, error_handling: dict[str, str] | None) -> PTransform:
    """Gives the sink; where `error_handling` names an output, what it refuses comes out there, as rows."""
    if error_handling is None:
        return sink
    require_known(f"penstock.{name}: error_handling", error_handling, ("output",), "key")
    if not error_handling.get("output"):
        message = (
            f"penstock.{name}: error_handling needs output, the name under which refused elements come out."
        )
        raise OptionError(message)
    return _ErrorHandling(sink, error_handling["output"])


class _ErrorHandling(PTransform):
    """A sink with its two outputs by name, as Beam YAML wants them."""

    def __init__(self, sink: PTransform, refused: str) -> None:
        super().__init__(sink.default_label())
        self._sink = sink
        self._refused = refused

    def expand(self, collection: PCollection) -> Any:
        both = collection | WithRefused(self._sink, "good", self._refused)
        return {"good": both["good"], self._refused: both[self._refused]}


def write_dead_letters(dead_letters: str, **config: Any) -> PTransform:
    """Takes the URL, and the options of the store that it names: Elasticsearch's, with AWS' for its signatures, or AWS'."""
    if dead_letters.startswith("elasticsearch:"):
        cluster, aws = _options("WriteDeadLetters", config, ElasticsearchOptions, AwsOptions)
        return WriteDeadLetters(dead_letters, elasticsearch=cluster, aws=aws)
    (aws,) = _options("WriteDeadLetters", config, AwsOptions)
    return WriteDeadLetters(dead_letters, aws=aws)


def decode_objects(**config: Any) -> PTransform:
    """Makes the decoder that `codec` names. Rows of Parquet and Avro files pass it."""
    (options,) = _options("DecodeObjects", config, DecodeOptions)
    return decode_step(options)


def finish_units(manifest: str | None = None, **config: Any) -> PTransform:
    return s3.FinishUnits(manifest or None, *_options("FinishUnits", config, AwsOptions))


def map_events(function: str, stage: str = "map") -> PTransform:
    return transforms.MapEvents(PythonCallableWithSource(function), stage)


def filter_events(predicate: str, stage: str = "filter") -> PTransform:
    return transforms.FilterEvents(PythonCallableWithSource(predicate), stage)


def flat_map_events(function: str, stage: str = "flat_map") -> PTransform:
    return transforms.FlatMapEvents(PythonCallableWithSource(function), stage)


def _options(name: str, config: dict[str, Any], *classes: type) -> list[Any]:
    """Makes instances of option dataclasses from a step's `config`, with the checks of a command line."""
    fields = {flag_of(field)[2:]: field for cls in classes for field in dataclasses.fields(cls)}
    require_known(f"penstock.{name}", config, fields, "option")
    for key in config:
        if fields[key].metadata.get("secret"):
            message = (
                f"penstock.{name}: {key} is a secret, and Beam shows a step's config to everybody who sees the job. Set "
                f"PENSTOCK_{key.upper()} in the environment instead."
            )
            raise OptionError(message)
    return [options_from(cls, config) for cls in classes]


def when(
    condition: str, then: list[dict[str, Any]], otherwise: list[dict[str, Any]] | None = None
) -> PTransform:
    """`then` and `otherwise` list filters as steps: a `type`, with or without `penstock.logstash.`, and a `config`."""
    return When(condition, _steps(then), _steps(otherwise or []))


def _steps(steps: list[dict[str, Any]]) -> list[PTransform]:
    made = []
    for step in steps:
        name = str(step.get("type")).removeprefix("penstock.").removeprefix("logstash.")
        factory = _LOGSTASH.get(name)
        if factory is None:
            message = (
                f"penstock.logstash.When: {step.get('type')!r} is none of {', '.join(sorted(_LOGSTASH))}"
            )
            raise OptionError(message)
        made.append(factory(**step.get("config", {})))
    return made


_LOGSTASH: dict[str, Callable[..., PTransform]] = {
    "Filters": LogstashFilters,
    "When": when,
    **{name: getattr(filter_transforms, name) for name in filter_transforms.__all__},
}

_FACTORIES: dict[str, Callable[..., PTransform]] = {
    "ReadFromAll": read_from_all,
    "ReadFromBeats": read_from_beats,
    "ReadFromKinesis": read_from_kinesis,
    "ReadFromS3": read_from_s3,
    "DecodeJson": transforms.DecodeJson,
    "DecodePlain": transforms.DecodePlain,
    "DecodeObjects": decode_objects,
    "MapEvents": map_events,
    "FilterEvents": filter_events,
    "FlatMapEvents": flat_map_events,
    "AddFields": transforms.AddFields,
    "DropEvents": transforms.DropEvents,
    "Fingerprint": transforms.Fingerprint,
    "MoveFields": transforms.MoveFields,
    "ParseJson": transforms.ParseJson,
    "RemoveFields": transforms.RemoveFields,
    "RenameFields": transforms.RenameFields,
    "SetTimestamp": transforms.SetTimestamp,
    "AddObjectProperties": s3.AddObjectProperties,
    "AsElements": transforms.AsElements,
    "FromElements": from_elements,
    "WriteToKinesis": write_to_kinesis,
    "WriteToElasticsearch": write_to_elasticsearch,
    "WriteDeadLetters": write_dead_letters,
    "FinishUnits": finish_units,
    "Acknowledge": Acknowledge,
    **{f"logstash.{name}": factory for name, factory in _LOGSTASH.items()},
}

_FIRST: tuple[Any, ...] = (read_from_all, read_from_beats, read_from_kinesis, read_from_s3)
for _read in _FIRST:
    _read._yaml_requires_inputs = False  # otherwise only names that begin with Read may be the first step

TRANSFORMS = {f"penstock.{name}": factory for name, factory in _FACTORIES.items()}
"""Beam YAML's type -> the factory that makes the transform from a step's config."""


def provider_file() -> str:
    """Gives the provider file. Beam's own YAML command knows these types only when a pipeline's `providers` include it."""
    places = "".join(
        f"    {name}: {factory.__module__}.{factory.__qualname__}\n" for name, factory in TRANSFORMS.items()
    )
    return f"- type: python\n  config: {{}}\n  transforms:\n{places}"
