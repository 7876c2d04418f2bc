"""Mutate, the filter that most configurations use, and its operations."""
