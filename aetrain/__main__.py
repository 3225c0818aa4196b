"""`python -m aetrain`, for a checkout that is not installed."""

import sys

from aetrain.cli import main

if __name__ == "__main__":
    sys.exit(main())
