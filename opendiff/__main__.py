"""`python -m opendiff`."""

import sys

from opendiff.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m opendiff"))
