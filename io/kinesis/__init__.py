"""Kinesis: the aggregated write and the checkpointed read."""
