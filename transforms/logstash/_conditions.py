"""`_conditions` compiles a condition's tree, with Logstash's own truth, comparisons, precedence and faults.

- Missing, null, false, `""` and `"false"` are false; everything else is true.
- `==` asks for the same type and value (`5` is neither `"5"` nor `5.0`), `<` compares numbers by value and texts by
  their bytes. `<` on a missing field, or between a text and a number, cannot be decided: `ConditionError`.
- A fault that is kept: where two or more `and` stand before an `or`, `A and B and C or D` is `A and ((B and C) or D)`.
  Another: a list of one is a field's name, so `[x] in ["a"]` is never true. Both are warned about.

What each question of a field means stands in `fields/conditions.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.transforms._variables import UnknownVariable
from penstock.transforms.logstash._errors import ConditionError, ConfigError
from penstock.transforms.logstash.fields import conditions
from penstock.transforms.logstash.fields.conditions import Condition
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
from penstock.transforms.logstash.language.ruby._oniguruma import RubyRegexError
from penstock.transforms.logstash.language.ruby._watched import literal_of, watched
from penstock.transforms.logstash.values._references import Reference, reference_or_bad

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PRECEDENCE = {"and": 2, "or": 1}


def compile_condition(
    tree: Any, places: Places, env: Mapping[str, str], warn: Callable[[str], None]
) -> Condition:
    """Compiles a condition.

    Args:
        tree: the condition, as parsed.
        places: lines and columns of its text.
        env: the values of variables.
        warn: takes what the author should know.

    Raises:
        ConfigError: it cannot start: a bad regular expression, a constant alone beside `and`, an unknown variable.
    """
    return _Compiler(places, env, warn).condition(tree)


class _Compiler:
    def __init__(self, places: Places, env: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._places = places
        self._env = env
        self._warn = warn

    def condition(self, tree: Any) -> Condition:
        if isinstance(tree, Joined):
            return self._joined(tree)
        if isinstance(tree, Constant):
            return conditions.constant(conditions.truth(self._constant(tree)))
        return self._operand(tree)

    def _operand(self, tree: Any) -> Condition:
        """Compiles a condition that may stand beside `and` and `or`: no constant alone."""
        if isinstance(tree, Joined):
            return self._joined(tree)
        if isinstance(tree, Negation):
            return conditions.negated(self.condition(tree.inner))
        if isinstance(tree, Comparison):
            return self._comparison(tree)
        if isinstance(tree, Field):
            return conditions.holds(reference_or_bad(tree.text))
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
            return holds if operator == "in" else conditions.negated(holds)
        left, right = self._side(tree.left), self._side(tree.right)
        if operator in ("==", "!="):
            equal = conditions.equal(left, right)
            return equal if operator == "==" else conditions.negated(equal)
        return self._order(operator, left, right, tree)

    def _side(self, tree: Any) -> Any:
        """Compiles a side to a `Reference`, or a constant (of an array, its first element)."""
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
        if isinstance(left, Reference):
            found = conditions.finds(left, search, literal_of(tree.right.text))
        else:
            found = conditions.constant(isinstance(left, str) and search(left) is not None)
        return found if tree.operator == "=~" else conditions.negated(found)

    def _order(self, operator: str, left: Any, right: Any, tree: Comparison) -> Condition:
        if not isinstance(left, Reference) and not isinstance(right, Reference):
            try:
                holds = conditions.compare(left, right, conditions.ORDERS[operator][1])
            except ConditionError as error:
                raise self._error(str(error), tree.at) from None
            return conditions.constant(holds)
        if not isinstance(left, Reference):
            left, right, operator = right, left, _MIRRORED[operator]
        return conditions.ordered(left, operator, right)

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
                return conditions.field_in_field(left, right)
            within = conditions.field_in_texts if isinstance(right, list) else conditions.field_in_text
            return within(left, right)
        if isinstance(right, Reference):
            return conditions.has(right, left)
        return conditions.constant(isinstance(left, str) and isinstance(right, str) and left == right)

    def _error(self, message: str, at: int) -> ConfigError:
        return ConfigError(message, *self._places.of(at))


def _apply(done: list[Condition], operator: str) -> None:
    right, left = done.pop(), done.pop()
    done.append(conditions.joined(left, operator, right))
