"""`language` reads Logstash's configuration language: its text, references to fields, templates and conditions. Pure."""
