"""Logstash's configuration language, pure: its text, its references to fields, its templates and its conditions."""
