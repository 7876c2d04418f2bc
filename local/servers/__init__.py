"""`servers` holds the peers on this machine: moto for AWS, a real Elasticsearch, Beam's programs, and their cache."""
