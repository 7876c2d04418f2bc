"""`showing` writes a plan for people, without secrets.

- `explain`: a line per step, with every option that took effect.
- `command_form`: the same as a penstock command.       - `yaml_form`: the same as Beam YAML.
- `given`: the options that must be said in these two.
"""
