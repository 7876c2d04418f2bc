"""`conditions` asks fields of an event: each question, and what joins them, as an expression and as data for the kernel.

The expression stands in the Python function of a chain (`source.py`), or in one of its own. A branch around nothing but
changes of fields runs in the kernel (`_native_conditions.h`): it answers for a plain field and a usual value, and calls
the condition's own function for every other, so Logstash's rules for odd values stand only here.
"""

import enum
import operator as operators
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.transforms.logstash._errors import ConditionError
from penstock.transforms.logstash.fields.operations import Piece, Step, read_path
from penstock.transforms.logstash.fields.source import Source, value_of
from penstock.transforms.logstash.language.ruby._watched import Literal
from penstock.transforms.logstash.values._references import Reference
from penstock.transforms.logstash.values._ruby import java_text, ruby_text
from penstock.transforms.logstash.values.event import MISSING

if TYPE_CHECKING:
    from penstock.transforms.logstash.values.event import LogEvent

__all__ = [
    "Branch", "Condition", "compare", "constant", "equal", "field_in_field", "field_in_text", "field_in_texts", "finds",
    "has", "holds", "joined", "negated", "ordered", "same", "truth",
]  # fmt: skip

MAX_DEPTH = 20
"""An expression of more levels goes on in a function of its own: Python's parser takes 200 parentheses."""

ORDERS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "<": (0, operators.lt),
    "<=": (1, operators.le),
    ">": (4, operators.gt),
    ">=": (5, operators.ge),
}
"""The operators of an order: CPython's number of each, and its function."""

Write = Callable[[Source], str]


class Test(enum.IntEnum):
    """What the kernel asks; the numbers are those in its source."""

    ASK = 0
    CONSTANT = 1
    NOT = 2
    AND = 3
    OR = 4
    XOR = 5
    TRUE_VALUE = 6
    EQUAL = 7
    ORDER = 8
    HAS = 9
    AMONG = 10
    FINDS = 11
    LITERAL = 12


class Question(NamedTuple):
    """A test of a field, for the kernel.

    Attributes:
        test: what is asked.
        field: the field.
        value: what it is compared with; for what joins conditions, these.
    """

    test: Test = Test.ASK
    field: Reference | None = None
    value: Any = None


class Condition:
    """A compiled condition.

    Attributes:
        write: writes it as an expression of `event` and `document` in a function.
        depth: its levels.
    """

    def __init__(self, write: Write, question: Question | None = None, depth: int = 1) -> None:
        self.depth = depth
        self.write = write
        self._question = question or Question()
        self._function: Callable[[LogEvent], bool] | None = None
        if depth >= MAX_DEPTH:
            function = self.function
            self.depth = 1
            self.write = lambda source: f"{source.bind(function)}(event)"
            self._question = Question()

    @property
    def function(self) -> "Callable[[LogEvent], bool]":
        """Decides it for an event. The function raises `ConditionError` where the event does not let it."""
        if self._function is None:
            source = Source()
            source.line(f"return {self.write(source)}")
            self._function = source.function()
        return self._function

    def native(self) -> tuple[int, "Callable[[LogEvent], bool]", tuple[str, ...] | None, Any]:
        """Gives what the kernel takes; a question about a field with rules of its own is a call of `function`."""
        test, field, value = self._question
        path = read_path(field)
        if Test.NOT <= test <= Test.XOR:
            value = tuple(each.native() for each in value)
        elif test != Test.CONSTANT and path is None:
            test = Test.ASK
        return test, lambda event: self.function(event), path, value


class Branch(NamedTuple):
    """Conditions with blocks behind them, of which the first that holds decides.

    Attributes:
        arms: each condition with its pieces; the condition of `else` is None.
        whole: does the work of the branch, in Python.
    """

    arms: Sequence[tuple[Condition | None, Sequence[Piece]]]
    whole: Step

    @property
    def depth(self) -> int:
        """How many branches stand in each other, this one too."""
        inner = [piece.depth for _, pieces in self.arms for piece in pieces if isinstance(piece, Branch)]
        return max(inner, default=0) + 1

    def native(self) -> tuple[Any, ...]:
        """Gives what the kernel takes."""
        arms = [
            (condition and condition.native(), tuple(piece.native() for piece in pieces))
            for condition, pieces in self.arms
        ]
        return (tuple(arms),)


def constant(value: object) -> Condition:
    """Holds for every event, or for none."""
    return Condition(lambda source: repr(bool(value)), Question(Test.CONSTANT, None, bool(value)))


def negated(inner: Condition) -> Condition:
    """Holds where `inner` doesn't."""
    return Condition(
        lambda source: f"(not {inner.write(source)})", Question(Test.NOT, None, (inner,)), inner.depth + 1
    )


def joined(left: Condition, operator: str, right: Condition) -> Condition:
    """Two conditions with `and`, `or`, `xor` or `nand` between them."""
    if operator == "nand":
        return negated(joined(left, "and", right))
    form, test = {
        "and": ("({} and {})", Test.AND),
        "or": ("({} or {})", Test.OR),
        "xor": ("({} is not {})", Test.XOR),  # each is True or False
    }[operator]
    return Condition(
        lambda source: form.format(left.write(source), right.write(source)),
        Question(test, None, (left, right)),
        max(left.depth, right.depth) + 1,
    )


def holds(field: Reference) -> Condition:
    """The value of a field counts as true."""

    def write(source: Source) -> str:
        value = value_of(field, source)
        return (
            f"((value := {value}) is not MISSING and value is not None and value is not False and value != '' "
            "and value != 'false')"
        )

    return Condition(write, Question(Test.TRUE_VALUE, field))


def truth(value: Any) -> bool:
    """Says whether a value counts as true."""
    return not (value is MISSING or value is None or value is False or value == "" or value == "false")


def same(left: Any, right: Any) -> bool:
    """Says whether two values have the same type and content."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def equal(left: Any, right: Any) -> Condition:
    """Two fields, or a field and a constant, have the same type and content."""
    if not isinstance(left, Reference):
        left, right = right, left
    if not isinstance(left, Reference):
        return constant(same(left, right))
    field, other = left, right
    if isinstance(other, Reference):
        return Condition(
            lambda source: f"{source.bind(same)}({value_of(field, source)}, {value_of(other, source)})"
        )
    if right is None:
        return constant(False)
    kind = type(right).__name__
    return Condition(
        lambda source: f"(type(value := {value_of(field, source)}) is {kind} and value == {right!r})",
        Question(Test.EQUAL, field, right),
    )


def ordered(field: Reference, operator: str, right: Any) -> Condition:
    """A field is less or more than another one, or than a constant. A missing one raises `ConditionError`."""
    number, function = ORDERS[operator]

    def write(source: Source) -> str:
        value = value_of(field, source)
        compared = f"{source.bind(compare)}(value, {{}}, {source.bind(function)})"
        if isinstance(right, Reference):
            return f"{source.bind(compare)}({value}, {value_of(right, source)}, {source.bind(function)})"
        if isinstance(right, str):
            return f"{source.bind(compare)}({value}, {right!r}, {source.bind(function)})"
        return (
            f"(value {operator} {right!r} if type(value := {value}) is int or type(value) is float "
            f"else {compared.format(repr(right))})"
        )

    is_number = type(right) is int or type(right) is float
    return Condition(write, Question(Test.ORDER, field, (number, right)) if is_number else None)


def compare(left: Any, right: Any, function: Callable[[Any, Any], Any]) -> bool:
    """Says whether two values are in an order. Raises `ConditionError` where they have none."""
    if left is MISSING or right is MISSING:
        message = "a missing field has no order; ask for it first: [x] and [x] > 5"
        raise ConditionError(message)
    if left is None or right is None or type(left) is bool or type(right) is bool:
        return False
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return bool(function(left, right))
    if isinstance(left, str) and type(left) is type(right):
        return bool(function(left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass")))
    message = f"a {_kind(left)} and a {_kind(right)} have no order"
    raise ConditionError(message)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text" if type(value) is str else "time"
    if isinstance(value, (int, float)):
        return "number"
    return "hash" if isinstance(value, dict) else "list"


def finds(field: Reference, search: Callable[[str], Any], literal: Literal | None) -> Condition:
    """A field is a text in which an expression is found.

    Args:
        field: the field.
        search: gives the match, or None.
        literal: what the expression finds, where it consists of literals.
    """
    if literal is None:
        return Condition(
            lambda source: (
                f"(type(value := {value_of(field, source)}) is str and ({source.bind(search)}(value) is not None))"
            ),
            Question(Test.FINDS, field, search),
        )
    start, inside, end = literal
    ways = [] if start is None else [f"value.startswith({start!r})"]
    ways += [] if inside is None else [f"{inside!r} in value"]
    ways += [] if end is None else [f"value.endswith({end!r})"]
    found = " or ".join(ways)
    return Condition(
        lambda source: f"(type(value := {value_of(field, source)}) is str and ({found}))",
        Question(Test.LITERAL, field, tuple(literal)),
    )


def has(field: Reference, value: Any) -> Condition:
    """A field is a list with a constant in it, or a text with a text in it."""
    kind = type(value)
    if kind is str:
        return Condition(
            lambda source: (
                f"({value!r} in held if type(held := {value_of(field, source)}) is list "
                f"else type(held) is str and {value!r} in held)"
            ),
            Question(Test.HAS, field, value),
        )

    def decide(held: Any) -> bool:
        return type(held) is list and any(type(each) is kind and each == value for each in held)

    return Condition(lambda source: f"{source.bind(decide)}({value_of(field, source)})")


def field_in_text(field: Reference, value: Any) -> Condition:
    """A field is a part of a constant's text."""
    text = java_text(value)
    return Condition(
        lambda source: f"(type(value := {value_of(field, source)}) is str and value in {text!r})"
    )


def field_in_texts(field: Reference, values: list[Any]) -> Condition:
    """A field, as a text, is one of several constants."""
    texts = frozenset(java_text(each) for each in values)

    def decide(value: Any) -> bool:
        if value is MISSING or isinstance(value, (list, dict)):
            return False
        return ruby_text(value) in texts

    return Condition(
        lambda source: (
            f"(value in {source.bind(texts)} if type(value := {value_of(field, source)}) is str "
            f"else {source.bind(decide)}(value))"
        ),
        Question(Test.AMONG, field, texts),
    )


def field_in_field(left: Reference, right: Reference) -> Condition:
    """A field is one of another's elements, or a part of its text."""

    def decide(value: Any, held: Any) -> bool:
        if value is MISSING:
            if isinstance(held, list) and held:
                message = f"{left.text} in {right.text}: {left.text} is missing"
                raise ConditionError(message)
            return False
        if isinstance(value, (list, dict)):
            return False
        if isinstance(held, list):
            return any(same(value, each) for each in held)
        if type(value) is str and type(held) is str:
            return value in held
        return same(value, held)

    return Condition(
        lambda source: f"{source.bind(decide)}({value_of(left, source)}, {value_of(right, source)})"
    )
