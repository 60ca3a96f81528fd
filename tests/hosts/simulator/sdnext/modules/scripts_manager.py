"""SDNext's own name for what extensions know as modules.scripts."""

from modules.scripts import AlwaysVisible, Script, basedir

__all__ = ["AlwaysVisible", "Script", "basedir"]
