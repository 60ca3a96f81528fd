"""The one logger of the extension: lines go to the host's log and begin with "LoRA Manager:"."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

# at run time it takes no brackets on Python 3.10
if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class _Prefixed(_Adapter):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"LoRA Manager: {msg}", kwargs


def _host_logger() -> logging.Logger:
    own = getattr(sys.modules.get("modules.logger"), "log", None)  # SDNext
    if isinstance(own, logging.Logger):
        return own
    logger = logging.getLogger("lora_manager")
    if not logger.hasHandlers():  # the A1111 line without --loglevel shows only warnings, and unformatted
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    return logger


log = _Prefixed(_host_logger(), {})
