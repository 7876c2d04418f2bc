"""`base` holds the base of every filter: options that are checked at the start, and the common options.

A filter is one file in a room of `filters/` with one class, and one line in the table of `filters/__init__.py`:

    class Upper(Filter):
        '''Writes fields in capitals.'''              # what it does, in a sentence

        name = "upper"
        options = (
            Option("fields", "array", required=True, doc="the fields"),
            Option("tag_on_failure", "array", ["_upper_failure"], doc="tags of an event whose field is no text"),
        )

        def compile(self) -> Work:                    # once, at the start; errors: raise self.refuse("why", "option")
            fields = [self.reference(text) for text in self["fields"]]   # a Reference: get, set, remove, each of an event
            tags = self["tag_on_failure"]

            def work(event: LogEvent) -> bool:        # for each event; no look-up of options here
                for field in fields:
                    value = field.get(event)          # MISSING when it isn't there; times are no texts: type(value) is str
                    if type(value) is not str:
                        for tag in tags:
                            event.tag(tag)
                        return False                  # no success: common options are left out
                    field.set(event, value.upper())   # notes that the event changed; may raise CannotSet (a FieldError)
                return True                           # success: add_field, remove_field, add_tag, remove_tag

            return work

- `self["option"]` is the checked value (or its default), `self.given` the names of those that were written.
- `self.template("%{a}-%{+YYYY}")` has `.render(event)` and `.constant` (its text where no event changes it, or None).
- `reference_of(text)` (values/_references.py) is for names that events make, and raises `InvalidReference`.
- `self.context` knows `ecs`, `timezone`, `zone`, `now()`, `allow_code` and `warn(text)`.
- `self.matched(event)` applies the common options by hand (dissect: once for each mapping); return False then.
- A filter whose fields differ by ECS lists `ECS` among its options and asks `self.ecs`.
- A filter that never drops an event sets `may_cancel` to False, which saves the question after it.
- A filter that makes events (split, clone) sets `makes_events` and returns the list of all events that go on.
- `emit(source)` writes the work into the chain's function (`fields/source.py`; grok does); by default it is a call. A
  filter that only changes fields sets `blocks` instead (mutate).
- When `work` raises, only this event becomes a dead letter. Catch the errors that Logstash catches.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.common import add_field, add_tag, remove_field, remove_tag
from penstock.transforms.logstash.fields.operations import Block, Operation, Step
from penstock.transforms.logstash.fields.source import Source
from penstock.transforms.logstash.options import (
    COMMON,
    ECS,
    UNUSED_ECS,
    Context,
    Option,
    Value,
    check_options,
)
from penstock.transforms.logstash.values._references import Reference, reference_or_bad
from penstock.transforms.logstash.values._sprintf import Template, compile_template
from penstock.transforms.logstash.values.event import LogEvent

__all__ = ["ECS", "UNUSED_ECS", "Filter", "Option", "Work"]

Work = Callable[[LogEvent], Any]
"""The work on an event. It returns whether it succeeded; for filters that make events, the events that go on."""


class Filter:
    """One filter of a configuration, with its options checked.

    Args:
        given: the options as written, with their places (`Value`), or plain values from Python.
        context: what holds for the whole chain.
        where: the filter's own place in the text, (line, column); None in Python.

    Raises:
        ConfigError: an option is unknown, missing or of the wrong kind; the text says which.
    """

    name: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    makes_events: ClassVar[bool] = False
    may_cancel: ClassVar[bool] = True
    blocks: Sequence[Block] | None = None
    """The whole filter as blocks of operations, where it is that (mutate)."""

    def __init__(
        self, given: Mapping[str, Any], context: Context, where: tuple[int, int] | None = None
    ) -> None:
        self.context = context
        self._where = where
        self._places = {name: value.where for name, value in given.items() if isinstance(value, Value)}
        self.given = frozenset(given)
        self._values = check_options(self.name, self.options + COMMON, given, context, where)
        self.matched = self._common()
        self.work = self.compile()

    def __getitem__(self, option: str) -> Any:
        return self._values[option]

    def compile(self) -> Work:
        """Makes the function that does the filter's work. Called once."""
        raise NotImplementedError

    def refuse(self, message: str, option: str | None = None) -> ConfigError:
        """Makes the error for a configuration that cannot start, with the place of `option` or of the filter."""
        where = self._places.get(option or "") or self._where or (None, None)
        subject = self.name if option is None else f"{self.name}: {option}"
        return ConfigError(f"{subject}: {message}", *where)

    def reference(self, text: Any) -> Reference:
        """Gives the field that an option names. A wrong name fails when an event comes, as in Logstash."""
        return reference_or_bad(text if isinstance(text, str) else str(text))

    def template(self, value: Any) -> Template:
        """Makes the template that gives an option's text for an event."""
        return compile_template(value, self.context.now)

    @property
    def ecs(self) -> bool:
        """Whether fields are named by the Elastic Common Schema: by the filter's own option, or the chain's."""
        own = self._values.get("ecs_compatibility")
        return self.context.ecs if own is None else own != "disabled"

    @property
    def is_plain(self) -> bool:
        """Whether success changes nothing further: no common option is given."""
        return self.matched is _nothing

    def emit(self, source: Source) -> None:
        """Writes what the filter does to an event into the chain's function: its blocks, or by default two calls."""
        if self.blocks is not None:
            for block in self.blocks:
                source.piece(block)
            return
        work = source.bind(self.work)
        if self.is_plain:
            source.line(f"{work}(event)")
        else:
            source.line(f"if {work}(event):")
            with source.deeper():
                self.emit_common(source)
        if self.may_cancel:
            source.line("if event.cancelled: return")

    def emit_common(self, source: Source) -> None:
        """Writes the common options as a block."""
        source.piece(Block(self.common, None, self.matched))

    def _common(self) -> Step:
        """Makes one function of `add_field`, `remove_field`, `add_tag` and `remove_tag`, in that order."""
        made: list[Operation] = []
        for name, value in self["add_field"].items():
            values = value if isinstance(value, list) else [value]
            made += [add_field(self.template(name), self.template(each)) for each in values]
        made += [remove_field(self.template(name)) for name in self["remove_field"]]
        made += [add_tag(self.template(tag)) for tag in self["add_tag"]]
        made += [remove_tag(self.template(tag)) for tag in self["remove_tag"]]
        self.common = made
        steps = [operation.step for operation in made]
        if len(steps) == 1:
            return steps[0]
        if not steps:
            return _nothing

        def apply_all(event: LogEvent) -> None:
            for step in steps:
                step(event)

        return apply_all


def _nothing(event: LogEvent) -> None:
    pass
