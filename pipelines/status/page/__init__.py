"""The status page as one document: `render` puts style, script and markup of this folder together."""
