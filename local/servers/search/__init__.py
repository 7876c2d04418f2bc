"""`local/servers/search` runs the search servers that the tests compare: OpenSearch, and older Elasticsearch.

- `kinds`: what each is made of.    - `fetch`: gets it from Maven Central.    - `server`: runs one node of it.
"""
