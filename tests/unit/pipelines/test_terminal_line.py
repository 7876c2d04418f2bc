"""A line that is rewritten in place, and that nothing tears."""

import io
import logging
import sys
import threading

import pytest

from penstock.pipelines.console.terminal_line import TerminalLine, takes_a_line
from tests.tools.machine.screen import rows_of


class Screen(io.StringIO):
    """A terminal of 40 columns, as far as we use one."""

    def isatty(self):
        return True

    @property
    def rows(self):
        """What a person sees, from the top."""
        return rows_of(self.getvalue())


@pytest.fixture
def screen(monkeypatch):
    made = Screen()
    monkeypatch.setattr(TerminalLine, "_columns", lambda self: 40)
    return made


def test_it_is_rewritten_and_cut(screen):
    line = TerminalLine(screen)
    line.show("first, and longer than what comes then")
    line.show("second")
    assert screen.rows == ["second"]
    line.show("x" * 200 + "\n\x1b[2J")
    assert screen.rows == ["x" * 39]
    line.clear()
    assert screen.rows == [""]


def test_what_is_written_stands_above_it(screen):
    line = TerminalLine(screen)
    line.show("status")
    line.write("a log line\n")
    assert screen.rows == ["a log line", "status"]
    line.write("half ")
    line.show("not yet")  # it must not tear the half
    assert screen.rows == ["a log line", "half "]
    line.write("a line\n")
    assert screen.rows == ["a log line", "half a line", "not yet"]


def test_control_characters_do_not_reach_the_terminal(screen):
    TerminalLine(screen).show("a\x1b[31mb\rc")
    assert screen.rows == ["a?[31mb?c"]


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_colours(screen, monkeypatch, no_color, coloured):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    TerminalLine(screen).show("trouble", "33")
    assert ("\x1b[33m" in screen.getvalue()) == coloured


def test_stderr_and_the_log_go_through_it_and_come_back(screen, monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler(screen)
    logging.getLogger().addHandler(handler)
    try:
        with TerminalLine(screen).instead_of_stderr() as line:
            line.show("status")
            logging.getLogger("penstock").warning("told")
            sys.stderr.write("and this\n")
            assert screen.rows == ["told", "and this", "status"]
        assert sys.stderr is screen
        assert handler.stream is screen
    finally:
        logging.getLogger().removeHandler(handler)
    assert screen.rows == ["told", "and this", ""]


def test_threads_do_not_tear_it(screen):
    line = TerminalLine(screen)

    def write(name):
        for number in range(200):
            line.write(f"{name} {number}\n")
            line.show(f"status {name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    *lines, last = screen.rows
    assert sorted(lines) == sorted(f"{name} {number}" for name in "abc" for number in range(200))
    assert last.startswith("status ")


@pytest.mark.parametrize(
    ("terminal", "term", "takes"),
    [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False), (True, None, False)],
)
def test_where_a_line_is_shown(monkeypatch, terminal, term, takes):
    monkeypatch.setattr(Screen, "isatty", lambda self: terminal)
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    assert takes_a_line(Screen()) == takes
