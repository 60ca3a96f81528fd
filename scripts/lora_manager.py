"""The host's way in: loads extension/ under a name that no other extension has, and lets it register itself."""

import importlib.util
import sys
from pathlib import Path

NAME = "lora_manager_extension"
FOLDER = Path(__file__).resolve().parent.parent / "extension"

# Reload UI imports this file again; the package must be as new as this file is
for name in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
    del sys.modules[name]

spec = importlib.util.spec_from_file_location(
    NAME, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
)
package = importlib.util.module_from_spec(spec)
sys.modules[NAME] = package
spec.loader.exec_module(package)

LoraManagerScript = package.start()
