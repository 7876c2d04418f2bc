"""Logstash's filters, by their names and meanings: the language, the filters, and how a chain of them is made.

`compile_filters(text)` makes a chain of a configuration's text; `chain.apply(event)` filters a decoded event.
"""
