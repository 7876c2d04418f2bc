"""Text in lines: what AWS services write, columns, and lines that belong together. Pure.

- `text_codecs`: the codecs.    - `_separated`, `_native_lines.c`: the engine of one line's fields.
- `_aws_formats`: which fields each format has.
- `_columns`: CSV and TSV.    - `_multiline`: joins lines.
"""
