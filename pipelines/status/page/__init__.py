"""`page` holds the status page's style, script and markup; `render` puts them together."""
