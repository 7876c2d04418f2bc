"""`logstash` makes the chain of a `logstash.conf`: read, checked against what each plugin takes, planned, then built.

`plan` holds what a checked file becomes; everything behind it knows nothing of the file's language.

- `reading`: files to a plan.    - `plugins`: what each plugin takes.    - `report`: what is wrong, with the line and a mark.
- `graph`, `graph_objects`, `graph_replay`: the chain of a plan.    - `needs`: what it needs of its peers.
- `showing`: the plan in other forms.    - `hints`: what an option of Logstash is called here.
"""
