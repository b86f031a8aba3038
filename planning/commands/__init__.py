"""The commands of `python -m planning`: each module has `add_command`, which adds its parser, and `run`."""
