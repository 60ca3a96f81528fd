"""What everything in a host reaches for: command line, options, state."""

from __future__ import annotations

import os
from typing import Any

from modules.cmd_args import parser
from modules.options import OptionInfo, Options

__all__ = ["OptionInfo", "api", "cmd_opts", "demo", "opts", "parser", "state"]


class State:
    """The running job. `interrupted` is cleared when the next job begins."""

    def __init__(self) -> None:
        self.interrupted = False
        self.skipped = False
        self.job = ""
        self.sampling_step = 0
        self.need_restart = False

    def begin(self, job: str) -> None:
        self.interrupted = self.skipped = False
        self.job, self.sampling_step = job, 0

    def end(self) -> None:
        self.job = ""

    def interrupt(self) -> None:
        self.interrupted = True

    def request_restart(self) -> None:
        self.interrupt()
        self.need_restart = True


cmd_opts = parser.parse_args()
opts = Options(os.path.join(os.path.abspath(cmd_opts.data_dir or "."), "config.json"))
state = State()
demo: Any = None
api: Any = None
