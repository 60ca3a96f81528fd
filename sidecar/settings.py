"""Settings from file, environment and command line; later ones win. See docs/settings.md for each of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import orjson
import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from sidecar.errors import StartError

SETTINGS_FILE = "settings.json"
SECRETS = ("token", "civitai_key")
DEFAULT_PORT = 7861
_URL = r"^https?://[^\s?#]+$"


def default_data_folder() -> Path:
    """The user's own data folder, unless LORA_MANAGER_DATA names another: never inside a host, which may serve files."""
    named = os.environ.get("LORA_MANAGER_DATA")
    return Path(named) if named else Path(platformdirs.user_data_dir("lora-manager", appauthor=False))


class Settings(BaseSettings):
    """What one run of the sidecar needs to know.

    Sources, weakest first: defaults, `DATA/settings.json`, environment `LORA_MANAGER_*`, command line.
    """

    model_config = SettingsConfigDict(env_prefix="LORA_MANAGER_", extra="ignore", validate_assignment=True)

    data: Path = Field(default_factory=default_data_folder)
    loras: list[Path] = []
    bind: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)
    token: str | None = Field(default=None, min_length=16)
    allowed_hosts: list[str] = []
    host_url: str | None = None
    log_level: str = "INFO"
    parent: int | None = None
    watch_stdin: bool = False
    open_browser: bool = False
    demo: bool = False
    watch_files: bool = True
    write_back: Literal["off", "a1111", "metadata"] = "off"
    trash_days: int = Field(default=30, ge=0, le=3650)
    organise_template: str = Field(default="{base_model}/{type}/{name}", max_length=500)
    blur_from: int = Field(default=8, ge=0, le=32)
    before_generating: Literal["tell", "fix", "stop"] = "fix"
    weight_cap: float = Field(default=0, ge=0, le=1000)
    civitai_url: str = Field(default="https://civitai.com", pattern=_URL)
    civitai_archive_url: str = Field(default="https://civarchive.com", pattern=f"^$|{_URL}")
    civitai_key: SecretStr | None = None
    embedding_model: str = Field(default="", max_length=1_000)
    embedding_device: Literal["cpu", "gpu", "off"] = "cpu"

    @field_validator("embedding_model")
    @classmethod
    def _writable_model(cls, value: str) -> str:
        """A folder or a name, without what neither can have."""
        if not value.isprintable():
            raise ValueError("is a folder or a model's name, without control characters")
        return value.strip()

    @field_validator("civitai_key")
    @classmethod
    def _sendable_key(cls, value: SecretStr | None) -> SecretStr | None:
        """As it goes into a header; what is told of a wrong one never has it in it."""
        if value is None:
            return None
        key = value.get_secret_value().strip()
        if not key:
            return None
        if len(key) > 500 or not all("!" <= letter <= "~" for letter in key):
            raise ValueError(
                "is up to 500 printable ASCII characters without spaces; copy it again from Civitai"
            )
        return SecretStr(key)

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("is one of DEBUG, INFO, WARNING, ERROR")
        return value.upper()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then `DATA/settings.json`."""
        given = init_settings() if isinstance(init_settings, InitSettingsSource) else {}
        data = Path(given.get("data") or default_data_folder())
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, read_settings_file(data / SETTINGS_FILE)),
        )


def read_settings_file(path: Path) -> dict[str, Any]:
    """The JSON object in a settings file, empty when there is no file.

    Raises:
        StartError: it cannot be read, or holds something else.
    """
    try:
        content = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise StartError(
            f"The settings file {path} cannot be read ({error}); mend it or move it away."
        ) from error
    if not isinstance(content, dict):
        raise StartError(f"The settings file {path} must hold one JSON object; mend it or move it away.")
    return content


def load_settings(**command_line: Any) -> Settings:
    """Merge all sources.

    Raises:
        StartError: a value is out of range or a file is broken; the message names the setting.
    """
    given = {name: value for name, value in command_line.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        given_value = "" if name in SECRETS else f" (given: {first.get('input')!r})"
        raise StartError(f"The setting {name} is wrong: {first['msg']}{given_value}.") from None
