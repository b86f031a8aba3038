"""The commands of `python -m opendiff`, each with its options; heavy imports wait until it runs."""
