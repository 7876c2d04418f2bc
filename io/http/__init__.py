"""`http` bounds what a peer can cost: `in_time` the time of a request, `replies` the size of a reply."""
