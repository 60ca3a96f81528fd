"""SDNext's command line, as far as the suite uses it. Extensions tell SDNext by the parser's description."""

from __future__ import annotations

import argparse

FLAVOUR = "sdnext"
parser = argparse.ArgumentParser(description="SD.Next")
parser.add_argument("--data-dir", default="")
parser.add_argument("--lora-dir", default=None)
parser.add_argument("--port", type=int, default=7860)
parser.add_argument("--auth", default=None, help="user:password, for the page and the API")
parser.add_argument("--subpath", default=None)
parser.add_argument("--server-name", default=None)
parser.add_argument("--cors-origins", default=None)
parser.add_argument("--share", action="store_true")
parser.add_argument("--tls-keyfile", default=None)
