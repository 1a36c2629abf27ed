"""python -m aionetflow: see aionetflow.cli."""

import sys

from aionetflow.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
