"""`http` carries requests by hand over `kept_connections`, and bounds what a peer can cost.

`in_time` bounds the time of a request, `replies` the size of a reply.
"""
