"""`values` holds an event on its way through filters, what its fields are called, and what a value is as text.

- `event`: the event.    - `_references`: `[a][b]`.    - `_sprintf`: `%{...}` in a text.
- `_times`, `_date_formats`: times, and their patterns.    - `_ruby`: a value as Ruby writes it.
"""
