"""`console` writes to the terminal, for a person.

- `logs`: lines on stderr.    - `terminal_line`: one line that is rewritten.
"""
