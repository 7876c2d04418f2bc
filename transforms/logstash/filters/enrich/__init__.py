"""Filters that add what they know about a value: translate, geoip, useragent and the like."""
