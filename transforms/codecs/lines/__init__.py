"""`codecs/lines` reads text in lines: formats of AWS services, columns, and lines that belong together. Pure.

- `codec`: what a codec does.    - `text_codecs`: the codecs.    - `_aws_formats`: the fields of each format.
- `_separated`, `_native_lines.c`: the engine of one line's fields.
- `_columns`: CSV and TSV.    - `_multiline`: joins lines.
"""
