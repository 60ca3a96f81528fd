"""`python -m sidecar`: hands over to the command line; imports nothing heavy, since the readers import it too."""

import sys

if __name__ == "__main__":
    from sidecar.cli import main

    sys.exit(main())
