"""`console` writes what a person sees on the terminal.

- `logs`: lines on stderr.    - `terminal_line`: one line that is rewritten.    - `progress`: how far a batch job is.
"""
