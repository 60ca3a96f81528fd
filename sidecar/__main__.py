"""`python -m sidecar`: hands over to the command line; imports nothing heavy, since the readers import it too."""

import os
import sys

# Before numpy is loaded. Its BLAS otherwise takes a thread for each core, which wait for one another actively: where a host keeps
# the cores busy, many small products (inner products of weights) then take fifteen times as long, and take it from the host.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if __name__ == "__main__":
    from sidecar.cli import main

    sys.exit(main())
