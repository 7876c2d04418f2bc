"""`structure` holds filters that change an event's fields and shape, or the number of events."""
