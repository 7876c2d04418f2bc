"""`ruby` translates Ruby's regular expressions (`_oniguruma`) and bounds the time that one may take (`_watched`)."""
