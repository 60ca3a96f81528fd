"""The A1111 line's command line, as far as the suite uses it."""

from __future__ import annotations

import argparse

FLAVOUR = "a1111"
parser = argparse.ArgumentParser()
parser.add_argument("--data-dir", default="")
parser.add_argument("--lora-dir", default=None)
parser.add_argument("--lyco-dir-backcompat", default=None)
parser.add_argument("--port", type=int, default=7860)
parser.add_argument("--api", action="store_true")
parser.add_argument("--gradio-auth", default=None, help="user:password, for the page")
parser.add_argument("--api-auth", default=None, help="user:password, for the API")
parser.add_argument("--subpath", default=None)
parser.add_argument("--server-name", default=None)
parser.add_argument("--cors-allow-origins", default=None)
parser.add_argument("--share", action="store_true")
parser.add_argument("--tls-keyfile", default=None)
