"""Filters that read a text: grok, date, dissect, kv, json, csv and the like."""
