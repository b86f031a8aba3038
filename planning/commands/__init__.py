"""The commands of `python -m planning`, each with its options."""
