"""The settings page's storage: config.json in the data folder, with defaults from those who add options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class OptionInfo:
    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Any = None,
        section: tuple[str, str] | None = None,
    ) -> None:
        self.default, self.label, self.component, self.section = default, label, component, section
        self.component_args, self.onchange = component_args, onchange
        self.comment_after = ""

    def info(self, info: str) -> OptionInfo:
        self.comment_after += f"<span class='info'>({info})</span>"
        return self


class Options:
    """`data` holds what was set and the defaults of what was added; unknown keys of the file stay in it."""

    def __init__(self, filename: str) -> None:
        self.filename = Path(filename)
        self.data_labels: dict[str, OptionInfo] = {
            "sd_model_checkpoint": OptionInfo("tiny.safetensors [0123456789]", "Checkpoint"),
            "samples_save": OptionInfo(True, "Always save all generated images"),
        }
        self.data: dict[str, Any] = {key: info.default for key, info in self.data_labels.items()}
        if self.filename.is_file():
            self.data.update(json.loads(self.filename.read_text("utf-8")))

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})
        if name in data:
            return data[name]
        raise AttributeError(name)

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        if key not in self.data:
            self.data[key] = info.default

    def set(self, key: str, value: Any) -> None:
        self.data[key] = value

    def save(self) -> None:
        self.filename.write_text(json.dumps(self.data, indent=4), "utf-8")
