"""`screen` is a terminal, as far as our programs use one."""

import re


def rows_of(text):
    """What stands on a terminal after all that; colours left out."""
    rows, column = [""], 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", text, re.DOTALL):
        if part == "\r":
            column = 0
        elif part == "\n":
            rows.append("")
            column = 0
        elif part == "\x1b[K":
            rows[-1] = rows[-1][:column]
        elif not part.startswith("\x1b"):
            rows[-1] = rows[-1][:column] + part + rows[-1][column + 1 :]
            column += 1
    return rows
