"""`enrich` holds filters that add facts about a value: translate, geoip, useragent and others."""
