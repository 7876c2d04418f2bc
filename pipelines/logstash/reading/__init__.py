"""`reading` turns files into a plan.

- `flags`: Logstash's command line and `logstash.yml`.       - `sources`: the texts, in their order.
- `planner`: plugins and conditions of the texts, checked.
"""
