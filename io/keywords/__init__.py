"""`io/keywords` gives editors and mypy the keywords that each connector takes; docs/make_keywords.py makes its modules."""
