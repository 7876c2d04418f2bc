"""`io/elasticsearch/bulk` makes bulk requests and reads their replies. Pure, with a kernel in C.

- `_actions`: events to lines.    - `_bulk`: bodies and replies.    - `_metadata`: a Beat's `@metadata` left out.
"""
