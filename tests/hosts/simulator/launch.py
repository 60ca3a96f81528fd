"""Starts the simulated host: `python launch.py --flavour sdnext|a1111 [the options of that host]`. See README.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    flavour = sys.argv.pop(sys.argv.index("--flavour") + 1)
    sys.argv.remove("--flavour")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # `modules` is a namespace: what both have lies in modules/, what only one has in <flavour>/modules/
    sys.path[:0] = [str(ROOT), str(ROOT / flavour)]
    from simulated import server

    server.run()


if __name__ == "__main__":
    main()
