"""`codecs/lines` reads text in lines: formats of AWS services, columns, and lines that belong together. Pure.

- `text_codecs`: the codecs.    - `_separated`, `_native_lines.c`: the engine of one line's fields.
- `_aws_formats`: the fields of each format.
- `_columns`: CSV and TSV.    - `_multiline`: joins lines.
"""
