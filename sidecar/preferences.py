"""The settings that the page may change while everything runs; they are kept in `DATA/settings.json`."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Any

import orjson
from pydantic import SecretStr, ValidationError

from sidecar.errors import BadRequest, StartError, Unavailable
from sidecar.library.files.template import read_template
from sidecar.settings import SETTINGS_FILE, Settings, read_settings_file

CHANGEABLE = (
    "write_back",
    "trash_days",
    "organise_template",
    "blur_from",
    "before_generating",
    "weight_cap",
    "civitai_url",
    "civitai_archive_url",
    "civitai_key",
    "embedding_model",
    "embedding_device",
)

_lock = threading.Lock()


def describe_settings(settings: Settings) -> dict[str, Any]:
    """The changeable settings; of a secret only whether it is there, as `NAME_set`."""
    described: dict[str, Any] = {}
    for name in CHANGEABLE:
        value = getattr(settings, name)
        if name == "civitai_key":
            described["civitai_key_set"] = value is not None
        else:
            described[name] = value
    return described


def change_settings(settings: Settings, changes: dict[str, Any]) -> None:
    """Take over `changes` for this run and the next ones; null takes a setting back to its default.

    Raises:
        BadRequest: an unknown setting, or a value out of range; then nothing has changed. BadTemplate: a template that
            would leave the LoRA folder, or names a field that there is not.
        Unavailable: the file cannot be written.
    """
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise BadRequest(
            f"There is no setting {unknown.pop()!r} to change; there are {', '.join(CHANGEABLE)}."
        )
    defaults = {name: Settings.model_fields[name].get_default() for name in CHANGEABLE}
    wanted = {name: defaults[name] if value is None else value for name, value in changes.items()}
    if "organise_template" in changes:
        read_template(str(wanted["organise_template"]))
    with _lock:
        before = {name: getattr(settings, name) for name in wanted}
        try:
            for name, value in wanted.items():
                setattr(settings, name, value)
            _save(settings, changes)
        except ValidationError as error:
            _put_back(settings, before)
            first = error.errors()[0]
            failure = BadRequest(f"The setting {'.'.join(map(str, first['loc']))}: {first['msg']}.")
            if first["loc"][:1] == ("civitai_key",):
                failure.status, failure.code = 422, "invalid"
            raise failure from None  # the cause would have the value in it
        except (OSError, StartError) as error:
            _put_back(settings, before)
            raise Unavailable(f"The settings cannot be kept: {error}") from error


def _put_back(settings: Settings, before: dict[str, Any]) -> None:
    for name, value in before.items():
        setattr(settings, name, value)


def _save(settings: Settings, changes: dict[str, Any]) -> None:
    """Write the file anew beside the old one and put it in its place; what else it holds stays."""
    path = settings.data / SETTINGS_FILE
    content = read_settings_file(path)
    for name, value in changes.items():
        if value is None:
            content.pop(name, None)
            continue
        kept = getattr(settings, name)
        content[name] = kept.get_secret_value() if isinstance(kept, SecretStr) else kept
    handle, temporary = tempfile.mkstemp(dir=settings.data)  # mode 0600 from the start
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
