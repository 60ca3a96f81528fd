"""The host's settings page, and what is read from it; the host itself, where it differs; the way in."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from extension import host, host_job, settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_gets_every_setting_with_its_type(fake_host: Any) -> None:
    radio = object()
    fake_host.module("gradio", Radio=radio)
    settings.register()
    added = fake_host.opts.added
    assert set(added) == {key for key, *_ in settings.OPTIONS}
    assert all(each.section == ("lora_manager", "LoRA Manager") and each.label for each in added.values())
    assert isinstance(added["lora_manager_record"].default, bool)
    completion = added["lora_manager_completion"]
    assert (completion.component, completion.default) == (radio, "on")
    assert completion.component_args == {"choices": ["on", "tags only", "off"]}


def test_a_host_without_radio_buttons_gets_a_text_field(fake_host: Any) -> None:
    fake_host.module("gradio")
    settings.register()
    assert fake_host.opts.added["lora_manager_completion"].component is None


def test_an_option_that_was_never_changed_has_its_default(fake_host: Any) -> None:
    """SDNext keeps in `data` only what differs."""
    fake_host.opts.data_labels = {"lora_fuse_native": types.SimpleNamespace(default=True)}
    assert host.option("lora_fuse_native") is True and host.option("other", 5) == 5
    fake_host.opts.data["lora_fuse_native"] = False
    assert host.option("lora_fuse_native") is False


def test_the_defaults_are_the_hosts_folders_and_the_users_own_data(fake_host: Any, tmp_path: Path) -> None:
    now = settings.current()
    assert now.folders == (str(tmp_path / "models" / "Lora"),)
    assert now.data == tmp_path / "data"
    assert (now.address, now.trigger_words, now.record, now.embeddings) == ("", True, True, True)


def test_what_the_user_set_counts(fake_host: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    fake_host.opts.data.update(
        lora_manager_folders="/a, /b c ;/d",
        lora_manager_data=str(tmp_path / "mine"),
        lora_manager_address="box:7861/",
        lora_manager_token_file=str(tmp_path / "token"),
        lora_manager_record=False,
        lora_manager_names="x.example, y.example",
    )
    now = settings.current()
    assert now.folders == ("/a", "/b c", "/d") and now.data == tmp_path / "mine"
    assert (now.address, now.token, now.record) == ("http://box:7861", "abc", False)
    assert now.names == ("x.example", "y.example")


def test_a_token_file_that_is_missing_is_no_error(fake_host: Any) -> None:
    fake_host.opts.data.update(lora_manager_address="http://box", lora_manager_token_file="/nowhere/token")
    assert settings.current().token == ""


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_emptied_setting_is_the_default(fake_host: Any, tmp_path: Path, value: Any) -> None:
    fake_host.opts.data.update(
        lora_manager_folders=value, lora_manager_data=value, lora_manager_address=value
    )
    now = settings.current()
    assert now.data == tmp_path / "data" and now.address == "" and len(now.folders) == 1


def test_folders_of_the_command_line_come_first_and_the_lycoris_one_only_if_it_is_there(
    fake_host: Any, tmp_path: Path
) -> None:
    fake_host.cmd_opts.lora_dir = str(tmp_path / "l")
    fake_host.cmd_opts.lyco_dir_backcompat = str(tmp_path / "lyco")
    assert host.lora_folders() == [str(tmp_path / "l")]
    (tmp_path / "lyco").mkdir()
    assert host.lora_folders() == [str(tmp_path / "l"), str(tmp_path / "lyco")]


@pytest.mark.parametrize(("given", "expected"), [(None, ""), ("", ""), ("sd", "/sd"), ("/sd/", "/sd")])
def test_the_sub_path_has_one_form(fake_host: Any, given: Any, expected: str) -> None:
    fake_host.cmd_opts.subpath = given
    assert host.subpath() == expected


def test_hosts_are_told_apart(fake_host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.kind() == "a1111" and not host.has_process_callbacks()
    fake_host.be_sdnext()
    assert host.kind() == "sdnext" and host.has_process_callbacks()


def test_sdnexts_default_cfg_is_no_value(fake_host: Any) -> None:
    p = types.SimpleNamespace(cfg_scale=-1, seed=-1, steps="20", width=None, all_seeds=None)
    found = host_job.parameters(p)
    assert (found["cfg"], found["seed"], found["steps"], found["width"]) == (None, None, 20, None)


def test_sdnexts_log_and_limit_are_spared(fake_host: Any) -> None:
    validate = fake_host.module(
        "modules.api.validate", log_exclude_prefix=["/assets"], request_cost={"/file": 0}
    )
    for _ in range(2):
        host.be_lenient("/lora-manager", "/lora-manager/api/v1/loras")
    assert validate.log_exclude_prefix == ["/assets", "/lora-manager"]
    assert validate.request_cost["/lora-manager/api/v1/loras"] == 0


def load_script() -> types.ModuleType:
    path = ROOT / "scripts" / "lora_manager.py"
    spec = importlib.util.spec_from_file_location("lora_manager.py", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_way_in_can_be_imported_again_and_again(fake_host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Script:
        pass

    fake_host.module("modules.scripts", Script=Script, AlwaysVisible=object())
    names = ("before_ui", "ui_settings", "ui_tabs", "app_started", "script_unloaded", "image_saved")
    for _ in range(2):
        fake_host.with_callbacks(*names)
        fake_host.callbacks.clear()
        module = load_script()
        classes = [each for each in vars(module).values() if type(each) is type and issubclass(each, Script)]
        assert len(classes) == 1, "hosts register every script class they find in the module"
        assert set(fake_host.callbacks) == set(names)
    for name in [each for each in sys.modules if each.startswith("lora_manager_extension")]:
        monkeypatch.delitem(sys.modules, name)
