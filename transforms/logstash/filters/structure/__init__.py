"""Filters that change an event's fields and shape, and how many events there are."""
