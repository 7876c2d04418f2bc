"""Parts of Ruby's regular expressions: see `language/_oniguruma.py`."""
