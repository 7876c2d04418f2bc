"""`steps` gives each step of a pipeline, as its author wrote them, a meter.

Problem. A runner tells what its steps have done when a bundle ends, and our bundles last up to an hour. The page needs the
real graph of any job, not a drawing made for each.

Plan. `steps_of` walks the pipeline that is about to run. Each transform that was applied to its root is a step. In a
step, each DoFn that takes one element and nothing else is replaced by one that passes elements through and counts
`EventBatch`es. It counts per batch, not per event: 6 us per step and batch. The meters are in `step_meters`.

Not metered: a DoFn that asks Beam for more than the element (a source's reader, timers, state). A live source
counts its events itself.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pipeline import PipelineVisitor
from apache_beam.transforms.core import ParDo
from apache_beam.utils.windowed_value import WindowedValue

from penstock.io.meters import Counter
from penstock.pipelines.status.step_meters import (
    BATCHES,
    BUSY,
    BYTES_IN,
    EVENTS_IN,
    EVENTS_OUT,
    FAILURES,
    REFUSED,
    Step,
    begin_call,
    end_call,
)
from penstock.transforms.batch import EventBatch

__all__ = ["MeteredDoFn", "steps_of"]


def steps_of(pipeline: Any) -> list[Step]:
    """Gives the pipeline's steps in the order in which they were made. From now on their DoFns count.

    Call it once, after the graph is built and before it runs.
    """
    found = _Steps()
    pipeline.visit(found)
    for name, leaves in found.leaves.items():
        step = found.steps[name]
        step.metered = bool(leaves)
        for leaf in leaves:
            leaf.fn = MeteredDoFn(leaf.fn, name, first=leaf is leaves[0], last=leaf is leaves[-1])
    return list(found.steps.values())


class _Steps(PipelineVisitor):
    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.leaves: dict[str, list[ParDo]] = {}
        self._owner: dict[int, str] = {}

    def enter_composite_transform(self, node: Any) -> None:
        self._visit(node)

    def visit_transform(self, node: Any) -> None:
        self._visit(node)

    def _visit(self, node: Any) -> None:
        name = _step_name(node)
        if not name:
            return
        step = self.steps.setdefault(name, Step(name))
        for each in node.inputs:
            before = self._owner.get(id(each))
            if before is not None and before != name and before not in step.after:
                step.after.append(before)
        for each in node.outputs.values():
            self._owner.setdefault(id(each), name)
        leaves = self.leaves.setdefault(name, [])
        if isinstance(node.transform, ParDo) and _takes_one_element(node.transform.fn):
            leaves.append(node.transform)


def _step_name(node: Any) -> str:
    """Gives the label of the step that the node is a part of."""
    while node.parent is not None and node.parent.parent is not None:
        node = node.parent
    return node.full_label if node.parent is not None else ""


def _takes_one_element(fn: beam.DoFn) -> bool:
    if type(fn).process_batch is not beam.DoFn.process_batch:
        return False
    hooks = (fn.setup, fn.start_bundle, fn.finish_bundle, fn.teardown)
    if any(inspect.signature(hook).parameters for hook in hooks):
        return False
    parameters = list(inspect.signature(fn.process).parameters.values())
    return type(fn).process is not beam.DoFn.process and len(parameters) == 1 and parameters[0].kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )  # fmt: skip


class MeteredDoFn(beam.DoFn):
    """Wraps another DoFn, and counts what goes through it.

    Args:
        inner: does the work.
        step: the label under which it counts.
        first: whether its input is the step's input.
        last: whether its output is the step's output.
    """

    def __init__(self, inner: beam.DoFn, step: str, *, first: bool = True, last: bool = True) -> None:
        self._inner = inner
        self._step = step
        self._first = first
        self._last = last
        # Beam has set these on the inner DoFn when it was applied, and asks the outer one for them.
        for name in ("input_batch_converter", "output_batch_converter"):
            if name in vars(inner):
                setattr(self, name, getattr(inner, name))

    def display_data(self) -> dict[str, Any]:
        """Shows what the inner one shows."""
        return dict(self._inner.display_data())

    def setup(self) -> None:
        """As the inner one."""
        self._inner.setup()

    def start_bundle(self) -> Any:
        """As the inner one."""
        return self._inner.start_bundle()

    def teardown(self) -> None:
        """As the inner one."""
        self._inner.teardown()

    def process(self, element: Any) -> Iterator[Any]:
        """As the inner one. Counts the element and the outputs."""
        letters = 0
        if isinstance(element, EventBatch):
            letters = len(element.dead_letters)
            if self._first:
                EVENTS_IN.of(self._step).add(len(element.events))
                BYTES_IN.of(self._step).add(element.size)
                BATCHES.of(self._step).add()
        yield from self._counted(lambda: self._inner.process(element), letters)

    def finish_bundle(self) -> Iterator[Any]:
        """As the inner one. Counts the outputs."""
        yield from self._counted(self._inner.finish_bundle, 0)

    def _counted(self, call: Any, letters: int) -> Iterator[Any]:
        """Gives the outputs of `call`. Only the time until the next output counts, not the time of later steps."""
        busy: Counter = BUSY.of(self._step)
        now = begin_call(self._step)
        try:
            for made in call() or ():
                end_call(now, busy)
                value = made.value if isinstance(made, WindowedValue) else made
                if isinstance(value, EventBatch):
                    if self._last:
                        EVENTS_OUT.of(self._step).add(len(value.events))
                    if len(value.dead_letters) > letters:
                        REFUSED.of(self._step).add(len(value.dead_letters) - letters)
                yield made
                now = begin_call(self._step)
        except GeneratorExit:
            raise
        except BaseException:
            end_call(now, busy)
            FAILURES.of(self._step).add()
            raise
        end_call(now, busy)
