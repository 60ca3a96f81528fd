"""Folders of the host."""

from __future__ import annotations

import os

from modules.shared import cmd_opts

script_path = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
data_path = os.path.abspath(cmd_opts.data_dir or script_path)
models_path = os.path.join(data_path, "models")
extensions_dir = os.path.join(data_path, "extensions")
