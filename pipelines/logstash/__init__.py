"""`logstash` runs the pipeline of a `logstash.conf`: read, checked against what each plugin takes, planned, then run.

`plan` holds what a checked file becomes; everything behind it knows nothing of the file's language.
"""
