"""`language` reads Logstash's configuration language: its text becomes a tree with places. Pure."""
