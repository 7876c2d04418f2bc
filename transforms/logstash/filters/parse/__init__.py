"""`parse` holds filters that read a text: grok, date, dissect, kv, json, csv and others."""
