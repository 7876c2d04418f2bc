"""`_conditions` compiles a condition into an expression, with Logstash's own truth, comparisons, precedence and faults.

- Missing, null, false, `""` and `"false"` are false; everything else is true.
- `==` asks for the same type and value (`5` is neither `"5"` nor `5.0`), `<` compares numbers by value and texts by
  their bytes. `<` on a missing field, or between a text and a number, cannot be decided: `ConditionError`.
- A fault that is kept: where two or more `and` stand before an `or`, `A and B and C or D` is `A and ((B and C) or D)`.
  Another: a list of one is a field's name, so `[x] in ["a"]` is never true. Both are warned about.

The expression stands in the function of a whole chain (`logstash/source.py`), or in one of its own.
"""

import operator as operators
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock.transforms._variables import UnknownVariable
from penstock.transforms.logstash.language._errors import ConditionError, ConfigError
from penstock.transforms.logstash.language._oniguruma import RubyRegexError
from penstock.transforms.logstash.language._references import MISSING, Reference, reference_or_bad
from penstock.transforms.logstash.language._ruby import java_text, ruby_text
from penstock.transforms.logstash.language._substitution import whole_variable
from penstock.transforms.logstash.language._tree import (
    Call,
    Comparison,
    Constant,
    Field,
    Joined,
    Negation,
    Pattern,
    Places,
)
from penstock.transforms.logstash.language.ruby._watched import literal_search, watched
from penstock.transforms.logstash.source import Source, value_of

if TYPE_CHECKING:
    from penstock.transforms.logstash.event import LogEvent

Write = Callable[[Source], str]
MAX_DEPTH = 20
"""An expression of more levels goes on in a function of its own: Python's parser takes 200 parentheses."""

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PRECEDENCE = {"and": 2, "or": 1}


class Condition:
    """A compiled condition.

    Attributes:
        write: writes it as an expression of `event` and `document` in a function.
        depth: its levels.
        function: decides it for an event. Raises `ConditionError` where the event does not let it.
    """

    def __init__(self, write: Write, depth: int = 1) -> None:
        self.depth = depth
        self.write = write
        self._function: Callable[[LogEvent], bool] | None = None
        if depth >= MAX_DEPTH:
            function = self.function
            self.depth = 1
            self.write = lambda source: f"{source.bind(function)}(event)"

    @property
    def function(self) -> "Callable[[LogEvent], bool]":
        if self._function is None:
            source = Source()
            source.line(f"return {self.write(source)}")
            self._function = source.function()
        return self._function


def compile_condition(
    tree: Any, places: Places, env: Mapping[str, str], warn: Callable[[str], None]
) -> Condition:
    """The compiled condition.

    Args:
        tree: the condition, as parsed.
        places: lines and columns of its text.
        env: the values of variables.
        warn: takes what the author should know.

    Raises:
        ConfigError: it cannot start: a bad regular expression, a constant alone beside `and`, an unknown variable.
    """
    return _Compiler(places, env, warn).condition(tree)


def _constant(holds: object) -> Condition:
    return Condition(lambda source: repr(bool(holds)))


def _not(inner: Condition) -> Condition:
    return Condition(lambda source: f"(not {inner.write(source)})", inner.depth + 1)


class _Compiler:
    def __init__(self, places: Places, env: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._places = places
        self._env = env
        self._warn = warn

    def condition(self, tree: Any) -> Condition:
        if isinstance(tree, Joined):
            return self._joined(tree)
        if isinstance(tree, Constant):
            return _constant(truth(self._constant(tree)))
        return self._operand(tree)

    def _operand(self, tree: Any) -> Condition:
        """A condition that may stand beside `and` and `or`: no constant alone."""
        if isinstance(tree, Joined):
            return self._joined(tree)
        if isinstance(tree, Negation):
            return _not(self.condition(tree.inner))
        if isinstance(tree, Comparison):
            return self._comparison(tree)
        if isinstance(tree, Field):
            return _truth_of(reference_or_bad(tree.text))
        message = "a constant alone decides nothing"
        raise self._error(message, tree.at)

    def _joined(self, tree: Joined) -> Condition:
        """Operands and their operators, ordered by the shunting yard of Logstash, which pops one operator only."""
        if not tree.operators:
            return self.condition(tree.operands[0])
        if len(tree.operators) > 1 and not _PRECEDENCE.keys() >= set(tree.operators):
            message = "xor and nand need parentheses beside other operators"
            raise self._error(message, tree.at)
        done = [self._operand(tree.operands[0])]
        waiting: list[str] = []
        usual = True
        for operator, operand in zip(tree.operators, tree.operands[1:], strict=True):
            if waiting and _PRECEDENCE[waiting[-1]] > _PRECEDENCE[operator]:
                _apply(done, waiting.pop())
                usual = usual and not (waiting and _PRECEDENCE[waiting[-1]] > _PRECEDENCE[operator])
            waiting.append(operator)
            done.append(self._operand(operand))
        while waiting:
            _apply(done, waiting.pop())
        if not usual:
            line, column = self._places.of(tree.at)
            self._warn(
                f"line {line}, column {column}: Logstash reads A and B and C or D as A and ((B and C) or D), and so do "
                "we; use parentheses"
            )
        return done[0]

    def _comparison(self, tree: Comparison) -> Condition:
        operator = tree.operator
        if operator in ("=~", "!~"):
            return self._match(tree)
        if operator in ("in", "not in"):
            holds = self._contained(tree)
            return holds if operator == "in" else _not(holds)
        left, right = self._side(tree.left), self._side(tree.right)
        if operator in ("==", "!="):
            equal = _equality(left, right)
            return equal if operator == "==" else _not(equal)
        return self._order(operator, left, right, tree)

    def _side(self, tree: Any) -> Any:
        """A `Reference`, or a constant (of an array, its first element)."""
        value = self._value(tree)
        return (value[0] if value else None) if isinstance(value, list) else value

    def _value(self, tree: Any) -> Any:
        if isinstance(tree, Field):
            return reference_or_bad(tree.text)
        if isinstance(tree, Constant):
            return self._constant(tree)
        if isinstance(tree, Pattern):
            message = "a regular expression stands only behind =~ or !~"
            raise self._error(message, tree.at)
        assert isinstance(tree, Call)  # noqa: S101
        message = f"the function {tree.name} does not exist"
        raise self._error(message, tree.at)

    def _constant(self, tree: Constant) -> Any:
        try:
            if isinstance(tree.value, str):
                return whole_variable(tree.value, self._env)
            if isinstance(tree.value, list):
                return [
                    whole_variable(each, self._env) if isinstance(each, str) else each for each in tree.value
                ]
        except UnknownVariable as error:
            raise self._error(str(error), tree.at) from None
        return tree.value

    def _match(self, tree: Comparison) -> Condition:
        try:
            search = watched(tree.right.text).search
        except RubyRegexError as error:
            message = f"{tree.right.text!r} is no regular expression: {error}"
            raise self._error(message, tree.right.at) from None
        left = self._side(tree.left)
        if not isinstance(left, Reference):
            found = _constant(isinstance(left, str) and search(left) is not None)
        else:
            field, literally = left, literal_search(tree.right.text)
            found = Condition(
                lambda source: (
                    f"(type(value := {value_of(field, source)}) is str "
                    f"and ({literally or f'{source.bind(search)}(value) is not None'}))"
                )
            )
        return found if tree.operator == "=~" else _not(found)

    def _order(self, operator: str, left: Any, right: Any, tree: Comparison) -> Condition:
        if not isinstance(left, Reference) and not isinstance(right, Reference):
            try:
                holds = _compare(left, right, _ORDER[operator])
            except ConditionError as error:
                raise self._error(str(error), tree.at) from None
            return _constant(holds)
        if not isinstance(left, Reference):
            left, right, operator = right, left, _MIRRORED[operator]
        field, compare = left, _ORDER[operator]

        def write(source: Source) -> str:
            value = value_of(field, source)
            compared = f"{source.bind(_compare)}(value, {{}}, {source.bind(compare)})"
            if isinstance(right, Reference):
                return f"{source.bind(_compare)}({value}, {value_of(right, source)}, {source.bind(compare)})"
            if isinstance(right, str):
                return f"{source.bind(_compare)}({value}, {right!r}, {source.bind(compare)})"
            return (
                f"(value {operator} {right!r} if type(value := {value}) is int or type(value) is float "
                f"else {compared.format(repr(right))})"
            )

        return Condition(write)

    def _contained(self, tree: Comparison) -> Condition:
        left, right = self._value(tree.left), self._value(tree.right)
        if isinstance(tree.right, Field) and tree.right.text[1:2] in ("'", '"'):
            line, column = self._places.of(tree.right.at)
            self._warn(
                f"line {line}, column {column}: {tree.right.text} is a field to Logstash, not a list of one, so this is "
                "never found; write the element twice, or use =="
            )
        if isinstance(left, Reference):
            if isinstance(right, Reference):
                return _field_in_field(left, right)
            return _field_in_constant(left, right)
        if isinstance(right, Reference):
            return _constant_in_field(left, right)
        return _constant(isinstance(left, str) and isinstance(right, str) and left == right)

    def _error(self, message: str, at: int) -> ConfigError:
        return ConfigError(message, *self._places.of(at))


def _apply(done: list[Condition], operator: str) -> None:
    right, left = done.pop(), done.pop()
    form = {
        "and": "({} and {})",
        "or": "({} or {})",
        "xor": "({} is not {})",  # each is True or False
        "nand": "(not ({} and {}))",
    }[operator]
    depth = max(left.depth, right.depth) + 1
    done.append(Condition(lambda source: form.format(left.write(source), right.write(source)), depth))


def _truth_of(field: Reference) -> Condition:
    def write(source: Source) -> str:
        value = value_of(field, source)
        return (
            f"((value := {value}) is not MISSING and value is not None and value is not False and value != '' "
            "and value != 'false')"
        )

    return Condition(write)


def truth(value: Any) -> bool:
    """Whether a value counts as true."""
    return not (value is MISSING or value is None or value is False or value == "" or value == "false")


def same(left: Any, right: Any) -> bool:
    """Whether two values have the same type and content."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _equality(left: Any, right: Any) -> Condition:
    if not isinstance(left, Reference):
        left, right = right, left
    if not isinstance(left, Reference):
        return _constant(same(left, right))
    field, other = left, right
    if isinstance(other, Reference):
        return Condition(
            lambda source: f"{source.bind(same)}({value_of(field, source)}, {value_of(other, source)})"
        )
    kind = type(right).__name__
    if right is None:
        return _constant(False)
    return Condition(
        lambda source: f"(type(value := {value_of(field, source)}) is {kind} and value == {right!r})"
    )


def _compare(left: Any, right: Any, compare: Callable[[Any, Any], Any]) -> bool:
    if left is MISSING or right is MISSING:
        message = "a missing field has no order; ask for it first: [x] and [x] > 5"
        raise ConditionError(message)
    if left is None or right is None or type(left) is bool or type(right) is bool:
        return False
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return bool(compare(left, right))
    if isinstance(left, str) and type(left) is type(right):
        return bool(compare(left.encode(errors="surrogatepass"), right.encode(errors="surrogatepass")))
    message = f"a {_kind(left)} and a {_kind(right)} have no order"
    raise ConditionError(message)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text" if type(value) is str else "time"
    if isinstance(value, (int, float)):
        return "number"
    return "hash" if isinstance(value, dict) else "list"


def _constant_in_field(value: Any, field: Reference) -> Condition:
    kind = type(value)
    if kind is str:
        return Condition(
            lambda source: (
                f"({value!r} in held if type(held := {value_of(field, source)}) is list "
                f"else type(held) is str and {value!r} in held)"
            )
        )

    def holds(held: Any) -> bool:
        return type(held) is list and any(type(each) is kind and each == value for each in held)

    return Condition(lambda source: f"{source.bind(holds)}({value_of(field, source)})")


def _field_in_constant(field: Reference, values: Any) -> Condition:
    if not isinstance(values, list):
        text = java_text(values)
        return Condition(
            lambda source: f"(type(value := {value_of(field, source)}) is str and value in {text!r})"
        )
    texts = frozenset(java_text(each) for each in values)

    def holds(value: Any) -> bool:
        if value is MISSING or isinstance(value, (list, dict)):
            return False
        return ruby_text(value) in texts

    return Condition(
        lambda source: (
            f"(value in {source.bind(texts)} if type(value := {value_of(field, source)}) is str "
            f"else {source.bind(holds)}(value))"
        )
    )


def _field_in_field(left: Reference, right: Reference) -> Condition:
    def holds(value: Any, held: Any) -> bool:
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
        lambda source: f"{source.bind(holds)}({value_of(left, source)}, {value_of(right, source)})"
    )
