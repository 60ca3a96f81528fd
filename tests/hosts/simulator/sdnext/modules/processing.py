"""The result of the last generation, in SDNext's place for it."""

from typing import Any

processed: Any = None
