"""What outlives a Reload UI, which imports the whole extension anew: the sidecar's process and records not yet sent."""

from __future__ import annotations

import sys
import types
from typing import Any

NAME = "lora_manager_kept"


def kept() -> dict[str, Any]:
    """One dictionary for the life of the host's process, whichever import of the extension asks."""
    return vars(sys.modules.setdefault(NAME, types.ModuleType(NAME)))
