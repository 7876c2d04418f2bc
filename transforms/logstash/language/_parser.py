"""`_parser` reads a whole configuration: sections, plugins, options, branches and conditions, with their places.

Strategy. A recursive descent over one text, with a compiled pattern for each kind of token: it reads 10,000 lines in
a fraction of a second, and knows at each place what could have stood there. Invariants: it raises `ConfigError` and
nothing else, whatever the text; nothing nests deeper than `MAX_DEPTH`.

One surprise is kept from Logstash: a list of one in a condition is a field: `["a"]` asks for the field
named `"a"`, quotes and all.
"""

import re
from typing import Any

from penstock.transforms.logstash._errors import ConfigError
from penstock.transforms.logstash.language._reader import BARE_WORD, NAME, NUMBER, STRING, Reader, skipped
from penstock.transforms.logstash.language._tree import (
    Branch,
    Call,
    Comparison,
    Constant,
    Field,
    Joined,
    Negation,
    Pattern,
    Plugin,
    Section,
)

_SELECTOR = re.compile(r"(?:\[[^\[\],]++\])++")
_REGEX = re.compile(r"/(?:\\/|[^/])*+/")
_FLAGS = re.compile(r"[imx]{1,3}(?![A-Za-z0-9])")
_OPERATOR = re.compile(r"==|!=|<=|>=|=~|!~|<|>|in|not (?:[ \t\r\n]++|#[^\n]*+)*+in")
_BOOLEAN = re.compile(r"and|or|xor|nand")
_SECTION = re.compile(r"^(?:input|filter|output)[ \t\r\n]*+\{", re.MULTILINE)
MOST_ERRORS = 20
_SECTIONS = ("input", "filter", "output")
_OPERANDS = ("a field in brackets", "a text in quotes", "a number", "(", "!")


def parse(text: str, *, support_escapes: bool = False) -> list[Section]:
    r"""Reads the sections of a configuration, in order.

    Args:
        text: the configuration.
        support_escapes: whether `\\n`, `\\t`, `\\"` and the like in texts are replaced (`config.support_escapes`).

    Raises:
        ConfigError: the text is wrong; with line, column and what was expected.
    """
    return _Parser(text, support_escapes).sections()


def parse_all(text: str, *, support_escapes: bool = False) -> tuple[list[Section], list[ConfigError]]:
    """Reads the sections that can be read, and what is wrong with the others.

    Behind an error reading goes on at the next section that begins at the beginning of a line.
    """
    parser = _Parser(text, support_escapes)
    found: list[Section] = []
    errors: list[ConfigError] = []
    while len(errors) < MOST_ERRORS:
        try:
            found += parser.sections()
            break
        except ConfigError as error:
            errors.append(error)
            found += parser.before
            if not parser.to_next_section():
                break
    return found, errors


def parse_condition(text: str) -> Any:
    """Reads the tree of a condition that stands alone. Raises `ConfigError`."""
    return _Parser(text, support_escapes=False).lone_condition()


class _Parser(Reader):
    before: list[Section]
    """The sections that were read before an error."""
    _kind = ""
    """The section that is read."""

    # The text's outline

    def sections(self) -> list[Section]:
        self.before = found = []
        self._skip()
        while self._at < len(self._text):
            found.append(self._section())
            self._skip()
        return found

    def to_next_section(self) -> bool:
        """Goes to the next line that begins a section; whether there is one."""
        found = _SECTION.search(self._text, self._at + 1)
        self._at, self._depth = (found.start(), 0) if found else (len(self._text), 0)
        return found is not None

    def _section(self) -> Section:
        start = self._at
        for kind in _SECTIONS:
            if self._take(kind):
                break
        else:
            message = "no section begins here"
            if self._text.startswith("}", start):
                message = "a } too many: every section is closed above"
            raise self._error(message, _SECTIONS)
        self._skip()
        self._kind = kind
        return Section(kind, self._block(), start)

    def _block(self) -> list[Any]:
        """`{ plugins and branches }`."""
        self._expect("{")
        self._enter()
        body: list[Any] = []
        self._skip()
        while not self._take("}"):
            body.append(self._branch_or_plugin())
            self._skip()
        self._depth -= 1
        return body

    def _branch_or_plugin(self) -> "Branch | Plugin":
        start = self._at
        if self._text.startswith("if", start):
            name = NAME.match(self._text, start)
            after = skipped(self._text, name.end() if name else start)
            if not (name and name[0] == "if" and self._text.startswith("{", after)):
                try:
                    return self._branch()
                except ConfigError:
                    if name is None or name[0] == "if" or not self._text.startswith("{", after):
                        raise
                    self._at = start  # `iffy { }` is a plugin
        return self._plugin()

    def _branch(self) -> Branch:
        start = self._at
        self._take("if")
        arms = [self._arm()]
        while True:
            end = self._at
            self._skip()
            if not self._take("else"):
                break
            self._skip()
            if self._text.startswith("{", self._at):
                arms.append((None, self._block()))
                return Branch(arms, start)
            if not self._take("if"):
                break
            arms.append(self._arm())
        self._at = end
        return Branch(arms, start)

    def _arm(self) -> tuple[Any, list[Any]]:
        self._skip()
        condition = self._condition()
        self._skip()
        if not self._text.startswith("{", self._at):
            message = "the condition ends here"
            raise self._error(message, ("and", "or", "xor", "nand", "{"))
        return condition, self._block()

    def _plugin(self) -> Plugin:
        start = self._at
        name = self._name(quoted=True)
        if name is None:
            message = "no plugin begins here"
            raise self._error(message, ("a plugin's name", "if", "}"))
        self._skip()
        if not self._text.startswith("{", self._at):
            message = f"the plugin {name} has no braces"
            raise self._error(message, ("{",))
        try:
            return self._plugin_block(name, start)
        except ConfigError:
            if name not in _SECTIONS:
                raise
            self._at = start - 1  # reading goes on with this section
            message = f"{name} stands within {self._kind} here: a }} is missing above"
            raise self._error(message, (), start) from None

    # Conditions

    def lone_condition(self) -> Any:
        self._skip()
        tree = self._condition()
        self._skip()
        if self._at < len(self._text):
            message = "the condition ends here"
            raise self._error(message, ("and", "or", "xor", "nand"))
        return tree

    def _condition(self) -> Any:
        start = self._at
        operands = [self._expression()]
        operators = []
        while True:
            end = self._at
            self._skip()
            found = _BOOLEAN.match(self._text, self._at)
            if found is None:
                self._at = end
                break
            self._at = found.end()
            operators.append(found[0])
            self._skip()
            operands.append(self._expression())
        return operands[0] if not operators else Joined(operands, operators, start)

    def _expression(self) -> Any:
        start = self._at
        if self._take("("):
            return self._closed(start)
        if self._take("!"):
            self._skip()
            if self._take("("):
                return Negation(self._closed(start), start)
            field = _SELECTOR.match(self._text, self._at)
            if field is None:
                message = "nothing to negate"
                raise self._error(message, ("a field in brackets", "("))
            self._at = field.end()
            return Negation(Field(field[0], field.start()), start)
        left = self._operand()
        end = self._at
        self._skip()
        found = _OPERATOR.match(self._text, self._at)
        if found is None:
            self._at = end
            return left
        operator = "not in" if found[0].startswith("not") else found[0]
        self._at = found.end()
        self._skip()
        if operator in ("=~", "!~"):
            pattern = STRING.match(self._text, self._at) or _REGEX.match(self._text, self._at)
            if pattern is None:
                message = f"no regular expression behind {operator}"
                raise self._error(message, ("/", "a text in quotes"))
            self._at = pattern.end()
            literal = pattern[0]
            if _FLAGS.match(self._text, self._at):
                message = "no flags stand behind a regular expression; they stand within: /(?i).../"
                raise self._error(message, ())
            regex = literal[1:-1] if literal[0] == "/" else self._content(literal)
            return Comparison(operator, left, Pattern(regex, pattern.start()), start)
        return Comparison(operator, left, self._operand(), start)

    def _closed(self, start: int) -> Any:
        """Reads a condition behind its opening parenthesis, and the closing one."""
        self._enter()
        self._skip()
        inner = self._condition()
        self._skip()
        if not self._take(")"):
            message = "the condition in parentheses goes on here"
            raise self._error(message, ("and", "or", "xor", "nand", ")"))
        self._depth -= 1
        return Joined([inner], [], start)

    def _operand(self) -> Any:
        text, start = self._text, self._at
        first = text[start : start + 1]
        if first in ('"', "'"):
            found = STRING.match(text, start)
            if found is not None:
                self._at = found.end()
                return Constant(self._content(found[0]), start)
            message = "this text has no end (a quote behind a backslash doesn't end it)"
            raise self._error(message, ())
        if (number := NUMBER.match(text, start)) is not None:
            self._at = number.end()
            return Constant(self._number(number[0], start), start)
        if (selector := _SELECTOR.match(text, start)) is not None:
            self._at = selector.end()
            return Field(selector[0], start)
        if first == "[":
            return Constant(self._array(), start)
        if (word := BARE_WORD.match(text, start)) is not None:
            return self._call(word[0], word.end(), start)
        if first == "/" and (regex := _REGEX.match(text, start)) is not None:
            self._at = regex.end()
            return Pattern(regex[0][1:-1], start)
        message = "no operand begins here"
        raise self._error(message, _OPERANDS)

    def _call(self, name: str, end: int, start: int) -> Call:
        self._at = end
        self._skip()
        if not self._take("("):
            self._at = start
            message = f"{name} has no meaning in a condition (true, false and nil do not exist)"
            raise self._error(message, _OPERANDS)
        self._enter()
        self._skip()
        while not self._take(")"):
            self._operand()
            self._skip()
            if self._take(","):
                self._skip()
            elif not self._text.startswith(")", self._at):
                message = "the function's arguments go on without a comma"
                raise self._error(message, (",", ")"))
        self._depth -= 1
        return Call(name, start)
