"""`ruby` handles parts of Ruby's regular expressions, for `language/_oniguruma.py`."""
