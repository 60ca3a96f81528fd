"""What the extension finds out about a host, as the real ones hold it, without having it load anything."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from extension import host_facts, host_job
from extension.host_facts import facts


class Untouchable:
    """`shared.sd_model` of both families loads a model when it is read."""

    @property
    def sd_model(self) -> Any:
        raise AssertionError("this would load a model")


def make_model(name: str | None = None, **members: Any) -> Any:
    info = name and types.SimpleNamespace(
        name=name, title=f"{name} [31e35c80fc]", name_for_extra=name.split(".")[0]
    )
    return types.SimpleNamespace(sd_checkpoint_info=info, **members)


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    host_facts.active_extensions.cache_clear()


def load_a1111(fake_host: Any, model: Any) -> None:
    flags = dict.fromkeys(("is_sd1", "is_sd2", "is_sdxl", "is_sd3"), False)
    vars(model).update({**flags, **vars(model)})
    fake_host.module("modules.sd_models", model_data=types.SimpleNamespace(sd_model=model))


def load_sdnext(fake_host: Any, model: Any, kind: str) -> None:
    fake_host.be_sdnext()
    fake_host.module("modules.modeldata", model_data=types.SimpleNamespace(sd_model=model))
    fake_host.shared.sd_model_type = kind


def test_a_host_without_anything_has_facts_all_the_same(fake_host: Any, tmp_path: Any) -> None:
    assert facts() == {
        "checkpoint_base": None,
        "options": {},
        "extensions": [],
        "comments": False,
        "lora_dir": str(tmp_path / "models" / "Lora"),
    }


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("is_sd1", "SD 1.x"), ("is_sd2", "SD 2.x"), ("is_sdxl", "SDXL"), ("is_sd3", "SD 3"), ("is_other", None)],
)
def test_the_a1111_line_tells_by_flags(fake_host: Any, flag: str, expected: str | None) -> None:
    load_a1111(fake_host, make_model("model.safetensors", **{flag: True}))
    assert facts()["checkpoint_base"] == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("Flux", "Flux"), ("Chroma", "Chroma"), ("FakeInitialModel", None)]
)
def test_forge_tells_by_class(fake_host: Any, name: str, expected: str | None) -> None:
    model = type(name, (types.SimpleNamespace,), {})()
    fake_host.module("modules.sd_models", model_data=types.SimpleNamespace(sd_model=model))
    assert facts()["checkpoint_base"] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ponyDiffusionV6XL.safetensors", "Pony"),
        ("waiNSFWIllustrious_v120.safetensors", "Illustrious"),
        ("noobaiXLNAIXL_vPred.safetensors", "NoobAI"),
        ("juggernautXL_v9.safetensors", "SDXL"),
    ],
)
def test_families_of_sdxl_are_told_by_the_checkpoints_name(fake_host: Any, name: str, expected: str) -> None:
    load_a1111(fake_host, make_model(name, is_sdxl=True))
    fake_host.opts.data["sd_model_checkpoint"] = f"{name} [31e35c80fc]"
    assert facts()["checkpoint_base"] == expected


@pytest.mark.parametrize(
    ("kind", "width", "expected"),
    [
        ("sd", 768, "SD 1.x"),
        ("sd", 1024, "SD 2.x"),
        ("sdxl", 2048, "SDXL"),
        ("sd3", None, "SD 3"),
        ("f1", None, "Flux"),
        ("chroma", None, "Chroma"),
        ("cogvideo", None, None),
        ("none", None, None),
    ],
)
def test_sdnext_tells_by_type(fake_host: Any, kind: str, width: int | None, expected: str | None) -> None:
    config = types.SimpleNamespace(cross_attention_dim=width)
    load_sdnext(fake_host, make_model("m", unet=types.SimpleNamespace(config=config)), kind)
    assert facts()["checkpoint_base"] == expected


def test_no_model_is_loaded_for_it(fake_host: Any) -> None:
    for load in (lambda: load_a1111(fake_host, make_model(is_sd1=True)), fake_host.be_sdnext):
        sys.modules["modules.shared"].__class__ = type("Shared", (types.ModuleType, Untouchable), {})
        load()
        facts(types.SimpleNamespace())


@pytest.mark.parametrize(
    ("wanted", "loaded", "same"),
    [
        ("a.safetensors [31e35c80fc]", "a.safetensors", True),
        ("sub/a.safetensors", "sub\\a.safetensors", True),
        ("a", "a.safetensors", True),
        ("Diffusers/tiny", "tiny", True),
        ("model.v1", "model.v1.safetensors", True),
        ("b.safetensors", "a.safetensors", False),
    ],
)
def test_a_model_that_is_about_to_be_replaced_tells_nothing(
    fake_host: Any, wanted: str, loaded: str, same: bool
) -> None:
    """Forge and the A1111 line load what is chosen, or asked for by this generation, after the first hook."""
    load_a1111(fake_host, make_model(loaded, is_sd1=True))
    p = types.SimpleNamespace(override_settings={"sd_model_checkpoint": wanted})
    assert (facts(p)["checkpoint_base"] == "SD 1.x") is same


def test_options_are_those_that_count_for_this_generation(fake_host: Any) -> None:
    fake_host.opts.data_labels = {"lora_fuse_native": types.SimpleNamespace(default=True)}
    fake_host.opts.data.update(
        lora_apply_te=False, sd_lora="None", lora_in_memory_limit=1, lora_apply_tags=None
    )
    told = facts(types.SimpleNamespace(override_settings={"sd_lora": "x"}, lora_apply_te=True))["options"]
    assert told == {
        "lora_apply_te": True,
        "lora_fuse_native": True,
        "lora_in_memory_limit": 1,
        "sd_lora": "x",
    }
    assert facts(types.SimpleNamespace(lora_apply_te=None))["options"]["lora_apply_te"] is False


def test_extensions_are_the_active_ones(fake_host: Any) -> None:
    active = [types.SimpleNamespace(name=name) for name in ("Lora", "sd-webui-LoRA-block-weight")]
    fake_host.module("modules.extensions", active=lambda: active, extensions=[*active, "disabled"])
    assert facts()["extensions"] == ["lora", "sd-webui-lora-block-weight"]


@pytest.mark.parametrize(("option", "expected"), [(None, True), (True, True), (False, False)])
def test_comments_go_where_the_host_takes_them_out(
    fake_host: Any, option: bool | None, expected: bool
) -> None:
    """reForge has no option for it; A1111 before 1.6 has nothing of the kind."""
    assert facts()["comments"] is False
    fake_host.module("modules.processing_scripts.comments", strip_comments=lambda text: text)
    if option is not None:
        fake_host.opts.data["enable_prompt_comments"] = option
    assert facts()["comments"] is expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"seed": 5}, [5, 6, 7]),
        ({"seed": 5, "subseed_strength": 0.5}, [5, 5, 5]),
        ({"seed": 5, "batch_size": 2}, [5, 5, 7]),
        ({"seed": [4, 9]}, [4, 9, 4]),
        ({"seed": "8"}, [8, 9, 10]),
        ({"seed": None}, [0, 1, 2]),
        ({}, [0, 1, 2]),
    ],
)
def test_images_draw_by_the_seeds_that_the_host_will_give_them(members: Any, expected: list[int]) -> None:
    assert host_job.seeds_to_draw_by(types.SimpleNamespace(**members), 3) == expected


@pytest.mark.parametrize(
    ("seed", "kept"), [(-1, False), (None, False), ("", False), (0, True), ([1, 2], True)]
)
def test_a_random_seed_is_chosen_a_little_earlier(seed: Any, kept: bool) -> None:
    p = types.SimpleNamespace(seed=seed)
    host_job.fix_seed(p)
    assert (p.seed == seed) is kept and (kept or 0 <= p.seed < 2**32)
