"""`help` tells people of options: pages of help, completion in a shell, what Logstash's names are called here."""
