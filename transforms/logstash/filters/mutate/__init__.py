"""`mutate` holds the filter of that name, which most configurations use, and its operations."""
