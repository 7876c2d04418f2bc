"""`page` holds the status page: style, script and markup, which `render` puts together, and its `server`."""
