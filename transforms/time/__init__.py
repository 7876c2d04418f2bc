"""`time` turns text into event times, and back.

- `timestamps`: what `@timestamp` may look like.    - `date_parser`: times in the letters of Joda (`dd/MMM/yyyy`).
"""
