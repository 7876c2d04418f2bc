"""What a person sees on the console.

- `logs`: lines on stderr.    - `terminal_line`: one line that is rewritten.    - `progress`: how far a batch job is.
"""
