"""`beam` makes Logstash's filters PTransforms on event batches: a whole configuration, `When`, and their base.

- One decode, one encode: the first of them reads an event's bytes, the others find its document, the sink writes it.
  An event that no filter changed keeps its bytes.
- The id is made before the filters, so it stays the same when they change. The events of `split` and `clone` take the
  id with the number of the piece, or the name of the copy, behind it. A replay gives the same ids.
- An event whose filter raises, or whose condition cannot be decided, becomes a dead letter, and no other event with it.
- `Event.filters` names the filters that an event's bytes have yet to pass; a letter keeps it (`filters_name`), so that
  a replay runs the same filters, never none.
- An event without a readable `@timestamp` takes the time of its arrival.

Chains are made with the pipeline, so that a wrong option shows there. They can't be pickled, so each worker makes
them again.
"""

import functools
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
import orjson

from penstock.transforms._variables import named_in
from penstock.transforms.batch import DeadLetter, Document, Event
from penstock.transforms.document import document_of
from penstock.transforms.events import EventTransform, apply_each, letter_of
from penstock.transforms.logstash.chain import Chain
from penstock.transforms.logstash.compile import Step, compile_steps
from penstock.transforms.logstash.fields.batches import BatchRun, compile_batches, time_of
from penstock.transforms.logstash.fields.documents import event_of
from penstock.transforms.logstash.filters import filter_class
from penstock.transforms.logstash.values.event import LogEvent

__all__ = [
    "FilterTransform",
    "LogstashFilters",
    "RunFilters",
    "When",
    "filters_name",
]

_LOGGER = logging.getLogger(__name__)


def filters_name(step: Step) -> str:
    """Gives the name of filters that are written like `step`: a hash of their text, not of variables' values."""
    text = orjson.dumps(
        msgspec.to_builtins(msgspec.structs.replace(step, env=None)), option=orjson.OPT_SORT_KEYS
    )
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class RunFilters:
    """Filters as a function from an event to events, for `EventTransform` and for a replay.

    Args:
        steps: the filters to run, in order.
        behind: sees each event that goes on, as the filters left it. It must not raise.
        keep_document: whether an event that no filter changed keeps its decoded document.
        warns: whether the configuration's warnings are logged.

    Raises:
        ConfigError: the configuration cannot start.
    """

    def __init__(
        self,
        steps: Step | Sequence[Step],
        behind: Callable[[LogEvent], object] | None = None,
        *,
        keep_document: bool = False,
        warns: bool = True,
    ) -> None:
        self._steps = [steps] if isinstance(steps, Step) else list(steps)
        self.name = "+".join([filters_name(step) for step in self._steps])
        self._behind = behind
        self._keep_document = keep_document
        for warning in self._compiled.chain.warnings if warns else ():
            _LOGGER.warning("%s", warning)

    @functools.cached_property
    def _compiled(self) -> "_Compiled":
        """The filters, compiled with the pipeline, and again in each worker."""
        chain = compile_steps(self._steps)
        if chain.several:
            return _Compiled(chain, None)
        run = compile_batches(
            chain.step, chain.context, self._behind, self.name, keep_document=self._keep_document
        )
        return _Compiled(chain, run)

    @property
    def several(self) -> bool:
        """Whether an event may become several."""
        return self._compiled.chain.several

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_compiled"}

    def batch(self, events: list[Event], stage: str) -> tuple[list[Event], list[DeadLetter], int]:
        """Runs the filters on events: what `events.apply_each` gives for this function, at a lower cost."""
        run = self._compiled.run_batch
        if run is None:
            return apply_each(self, events, stage)
        made: list[Event] = []
        letters: list[DeadLetter] = []

        def refuse(event: Event, error: Exception) -> None:
            event.filters = self._name_behind(event)
            letters.append(letter_of(event, error, stage))

        dropped = run(events, made, refuse)
        return made, letters, dropped

    def __call__(self, event: Event) -> Sequence[Event]:
        """Runs the filters on an event. `filters` of a changed event names the filters that its bytes have yet to pass."""
        chain = self._compiled.chain
        try:
            document = event.document
            if document is None:
                document = document_of(event)
            had_time = "@timestamp" in document
            log_event = event_of(document, chain.context, event.origin)
            if chain.several:
                found = chain.run(log_event)
                if len(found) != 1 or found[0] is not log_event:
                    return self._several(event, found)
            else:
                chain.step(log_event)
                if log_event.cancelled:
                    return ()
        except Exception:
            event.filters = self._name_behind(event)
            raise
        if self._behind is not None:
            self._behind(log_event)
        if log_event.changed:
            name = self.name if event.filters is None else self._name_behind(event)
            return (_filtered(event, document, event.id, name),)
        if not had_time:
            document.pop("@timestamp", None)
        if self._keep_document:
            event.document = document
        return (event,)

    def _several(self, event: Event, found: list[LogEvent]) -> list[Event]:
        name = self._name_behind(event)
        used: dict[str | None, int] = {}
        if self._behind is not None:
            for made in found:
                self._behind(made)
        return [_filtered(event, made.document, _id_of(event, made, used), name) for made in found]

    def _name_behind(self, event: Event) -> str:
        """Gives the name of all filters that an event's bytes have passed, with these at the end."""
        return self.name if event.filters is None else f"{event.filters}+{self.name}"


class _Compiled(NamedTuple):
    chain: Chain
    run_batch: BatchRun | None
    """What does the work of the chain on a batch; None where an event may become several, or without its kernel."""


def _filtered(event: Event, document: Document, identifier: str | None, name: str) -> Event:
    timestamp = document.get("@timestamp")
    if type(timestamp) is not str:
        timestamp = time_of(timestamp)
    return Event(
        event.data,
        event.origin,
        event.index,
        event.part,
        identifier,
        timestamp,
        document,
        changed=True,
        filters=name,
    )


def _id_of(event: Event, made: LogEvent, used: dict[str | None, int]) -> str | None:
    """Gives the id of one of several events: the first event's, with its part behind it."""
    if event.id is None:
        return None
    identifier = event.id + made.part
    count = used[identifier] = used.get(identifier, 0) + 1
    return identifier if count == 1 else f"{identifier}-again{count - 1}"


class LogstashFilters(EventTransform):
    """Runs the filters of a Logstash configuration, its `filter { }` sections, with their conditions.

    Args:
        text: the configuration's text.
        ecs_compatibility: `v8` and `v1` name fields by the Elastic Common Schema, `disabled` as Logstash 7 did.
        env: the values of `${NAME}`; by default the environment's, when the pipeline is made.
        support_escapes: whether escapes in texts are replaced.
        timezone: the IANA zone of times that name none.
        allow_code: whether `python { code }` may run: code of the configuration's author.
        stage: what the dead letters and metrics call this step.

    Raises:
        ConfigError: the configuration cannot start; with line, column and what was expected.

    Delivery guarantee: each event ends up in the batch, in its dead letters, or was dropped by a filter.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import LogstashFilters
        >>> through(LogstashFilters('filter { mutate { add_tag => ["seen"] } }'), {"message": "a"})
        [{'message': 'a', '@timestamp': '1970-01-01T00:00:00.000Z', 'tags': ['seen']}]
    """

    def __init__(
        self,
        text: str,
        *,
        ecs_compatibility: str = "v8",
        env: dict[str, str] | None = None,
        support_escapes: bool = False,
        timezone: str = "UTC",
        allow_code: bool = False,
        stage: str = "logstash_filters",
    ) -> None:
        self.step = Step(
            "text",
            text,
            ecs_compatibility=ecs_compatibility,
            env=named_in(text, os.environ if env is None else env),
            support_escapes=support_escapes,
            timezone=timezone,
            allow_code=allow_code,
        )
        run = RunFilters(self.step)
        super().__init__(run, stage, {"filters": run.name, "lines": text.count("\n") + 1})


class FilterTransform(EventTransform):
    """One filter, its options as keywords: `Grok(match={"message": "%{COMBINEDAPACHELOG}"})`; the base of all.

    Args:
        timezone: the IANA zone of times that name none.
        allow_code: whether `Python(code=...)` may run.
        options: the filter's options, by Logstash's names.

    Raises:
        ConfigError: an option is unknown, missing, or of the wrong kind.
    """

    name: ClassVar[str]

    def __init__(self, *, timezone: str = "UTC", allow_code: bool = False, **options: Any) -> None:
        self.step = Step("filter", self.name, options=options, timezone=timezone, allow_code=allow_code)
        kind = filter_class(self.name)
        secrets = {option.name for option in kind.options if option.kind == "password"} if kind else set()
        shown = {name: value for name, value in options.items() if name not in secrets}
        super().__init__(RunFilters(self.step), self.name, shown)


class When(EventTransform):
    """Filters under a condition in Logstash's language: `When("[status] >= 500", [Drop()], otherwise=[...])`.

    Args:
        condition: as behind `if`.
        then: the filters for events of which it is true; `When` and `LogstashFilters` may stand among them.
        otherwise: the filters for the others.

    Raises:
        ConfigError: the condition cannot be read.

    Example:
        >>> from penstock.testing import through
        >>> from penstock.transforms.logstash import Mutate, When
        >>> through(When("[status] >= 500", [Mutate(add_tag=["failed"])]), {"status": 200}, {"status": 503})
        [{'status': 200}, {'status': 503, '@timestamp': '1970-01-01T00:00:00.000Z', 'tags': ['failed']}]
    """

    def __init__(self, condition: str, then: Sequence[Any], otherwise: Sequence[Any] = ()) -> None:
        self.step = Step(
            "when", condition, then=[each.step for each in then], otherwise=[each.step for each in otherwise]
        )
        super().__init__(RunFilters(self.step), "when", {"condition": condition})
