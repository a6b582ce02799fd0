"""`python -m arraystore` is the command `arraystore`."""

import sys

from arraystore.cli import main

if __name__ == "__main__":
    sys.exit(main())
