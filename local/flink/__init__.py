"""`flink` runs a whole Flink on 127.0.0.1: what it is made of (`cache`), its processes (`cluster`), its workers (`pool`)."""
