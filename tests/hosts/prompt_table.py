"""The prompts that every host is asked, each for one trap; and the LoRA files that they speak of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_files import Shapes, make_kohya_lora

SDNEXT, A1111 = "sdnext", "a1111"


@dataclass(frozen=True)
class Row:
    """A prompt, or the prompts of one batch. `of_host` tells on which host alone it makes sense, `typed` whether the host's
    own reading of it as typed can be foretold (sets and draws are nothing to a host), `options` what is set on the host for it."""

    about: str
    prompt: str | tuple[str, ...]
    of_host: str = ""
    typed: bool = True
    negative: str = ""
    seed: int = 7
    options: tuple[tuple[str, Any], ...] = ()


TABLE = (
    Row("no LoRA", "a quiet valley"),
    Row("plain", "a boat <lora:river_ink:0.5>"),
    Row("two", "<lora:river_ink:0.5> a boat <lora:plain_1:0.3>"),
    Row("weight missing", "<lora:river_ink>"),
    Row("weight missing, nobody has said one", "<lora:plain_1>"),
    Row("weight missing, the host's default is 0.4", "<lora:plain_1>", options=(("extra_networks_default_multiplier", 0.4),)),
    Row("colon without a weight", "<lora:plain_1:>"),
    Row("negative weight", "<lora:plain_1:-0.5>"),
    Row("weight 0", "<lora:plain_1:0> <lora:plain_2:0.5>"),
    Row("weight as 8e-1", "<lora:plain_1:8e-1>"),
    Row("weight as .8", "<lora:plain_1:.8>"),
    Row("weight in wide digits", "<lora:plain_1:０.８>"),
    Row("spaces around the weight", "<lora:plain_1: 0.8 >"),
    Row("decimal comma", "<lora:plain_1:0,8>"),
    Row("decimal comma beside a good one", "<lora:plain_1:0,8> <lora:plain_2:0.5>"),
    Row("weight that is no number", "<lora:plain_1:strong>"),
    Row("= for the colon", "<lora:plain_1=0.8>"),
    Row("wide colons", "<lora：plain_1：0.8>"),
    Row("escaped brackets", r"\<lora:plain_1:0.5\>"),
    Row("te alone", "<lora:plain_1:te=0.4>"),
    Row("unet alone", "<lora:plain_1:unet=0.4>"),
    Row("te beside a weight", "<lora:plain_1:0.9:te=0.4>"),
    Row("te and unet", "<lora:plain_1:te=0.4:unet=0.9>"),
    Row("weight, te and unet", "<lora:plain_1:1:te=0.4:unet=0.9>"),
    Row("a second number", "<lora:plain_1:0.4:0.9>"),
    Row("a third number", "<lora:plain_1:0.4:0.9:1>"),
    Row("in, mid, out", "<lora:plain_1:1:in=0.1:mid=0.2:out=0.3>"),
    Row("dyn", "<lora:plain_1:1:dyn=1>"),
    Row("dyn that is no number", "<lora:plain_1:1:dyn=x> <lora:plain_2:0.5>"),
    Row("te that is no number", "<lora:plain_1:1:te=x>"),
    Row("a schedule", "<lora:plain_1:0.8@0.2,0.1@0.9>"),
    Row("a schedule that begins later", "<lora:plain_1:0.2@0.5,0.9@0.9>"),
    Row("a schedule of te", "<lora:plain_1:1:te=0.2@0,0.9@1>"),
    Row("block weights", "<lora:plain_1:0.8:lbw=ALL>"),
    Row("block weights by element", "<lora:plain_1:0.8:lbwe=ALL>"),
    Row("start and stop", "<lora:plain_1:0.8:start=0.2:stop=0.8>"),
    Row("step", "<lora:plain_1:0.8:step=3>"),
    Row("high", "<lora:plain_1:0.8:high>"),
    Row("low", "<lora:plain_1:0.8:low>"),
    Row("module", "<lora:plain_1:0.8:module=transformer>"),
    Row("unknown", "<lora:nowhere_at_all:1>"),
    Row("unknown beside a good one", "<lora:nowhere_at_all:1> <lora:plain_1:0.5>"),
    Row("misspelt", "<lora:rivr_ink:0.5>"),
    Row("a wildcard for the name", "<lora:__styles__:0.5> <lora:plain_1:0.5>"),
    Row("no name", "<lora::1> <lora:plain_1:0.5>"),
    Row("nothing behind the colon", "a boat <lora:>"),
    Row("other case", "<lora:River_Ink:0.5>"),
    Row("spaces around the name", "<lora: plain_1 :0.5>"),
    Row("ending of the file", "<lora:plain_1.safetensors:0.5>"),
    Row("folder before the name", "<lora:light/paper_lantern:0.5>"),
    Row("folder before the name, as Windows writes it", r"<lora:light\paper_lantern:0.5>"),
    Row("in a folder, by its name", "<lora:paper_lantern:0.5>"),
    Row("dots in the stem", "<lora:dotted.v1:0.5>"),
    Row("_ for the dots", "<lora:dotted_v1:0.5>"),
    Row("the name of its training", "<lora:trained name:0.5>"),
    Row("the name of two trainings", "<lora:shared name:0.5>"),
    Row("two files of one stem", "<lora:twin:0.5>"),
    Row("two files of one stem, by folder", "<lora:two/twin:0.5>"),
    Row("called none", "<lora:none:0.5>"),
    Row("spaces in the name", "<lora:with some space:0.5>"),
    Row("emoji in the name", "<lora:fox 🦊:0.5>"),
    Row("right to left", "<lora:نهر:0.5> قارب"),
    Row("= in the name", "<lora:equal=sign:0.5>"),
    Row("# in the name", "<lora:number #1:0.5> <lora:plain_1:0.5>"),
    Row("cut short on disk", "<lora:cut_short:0.5> <lora:plain_1:0.5>"),
    Row("lyco", "<lyco:plain_1:0.5>"),
    Row("lyco beside lora", "<lyco:plain_1:0.5> <lora:plain_2:0.5>"),
    Row("LORA", "<LORA:plain_1:0.5>"),
    Row("locon", "<locon:plain_1:0.5> <lora:plain_2:0.5>"),
    Row("twice, two weights", "<lora:plain_1:0.2> <lora:plain_1:0.6>"),
    Row("twice, one weight", "<lora:plain_1:0.5><lora:plain_1:0.5>"),
    Row("in emphasis", "(a boat <lora:plain_1:0.5>:1.3)"),
    Row("in a schedule of words", "[a boat <lora:plain_1:0.5>:a ship:0.5]"),
    Row("in alternatives", "{<lora:plain_1:0.5>|a boat}"),
    Row("in a comment", "a boat # <lora:plain_1:0.5>"),
    Row("behind a comment", "a boat # red\n<lora:plain_1:0.5>"),
    Row("in a comment to the line's end", "a boat // <lora:plain_1:0.5>\n<lora:plain_2:0.5>"),
    Row("in a block comment", "/* <lora:plain_1:0.5> */ <lora:plain_2:0.5>"),
    Row("around BREAK", "a boat <lora:plain_1:0.5> BREAK a ship <lora:plain_2:0.4>"),
    Row("around AND", "a boat <lora:plain_1:0.5> AND a ship"),
    Row("one within another", "<lora:plain_1<lora:plain_2:0.5>"),
    Row("without an end", "a boat <lora:plain_1:0.5"),
    Row("over two lines", "<lora:plain_1\n:0.5>"),
    Row("another network beside it", "<hypernet:nothing:1> <lora:plain_1:0.5>"),
    Row("in the negative prompt", "a boat", negative="ugly <lora:plain_1:0.5>"),
    Row("not a number", "<lora:plain_1:nan>"),
    Row("infinite", "<lora:plain_1:inf>"),
    Row("a batch, the first without any", ("a boat", "a ship <lora:plain_2:0.4>")),
    Row("a batch, two different ones", ("a boat <lora:plain_1:0.5>", "a ship <lora:plain_2:0.4>")),
    Row("a batch, the last without any", ("a boat <lora:plain_1:0.5>", "a ship")),
    Row("a batch, one unknown", ("a boat <lora:nowhere_at_all:0.5>", "a ship <lora:plain_2:0.5>")),
    Row("a set", "a boat, <set:Evening>", typed=False),
    Row("a set, scaled", "<set:Evening:0.5>", typed=False),
    Row("a set in a set", "<set:Night>", typed=False),
    Row("a set with a file that is gone", "<set:Lost>", typed=False),
    Row("a set beside one of its own", "<lora:plain_1:0.9> <set:Evening>", typed=False),
    Row("no such set", "<set:Nobody> <lora:plain_1:0.5>", typed=False),
    Row("drawn by a search", "<lora:?name:plain_3:0.3-0.6>", typed=False),
    Row("drawn by another seed", "<lora:?name:plain_3:0.3-0.6>", typed=False, seed=8),
    Row("drawn from a set in turn", "<lora:?set:Evening>", typed=False, seed=1),
)  # fmt: skip

SETS: tuple[dict[str, object], ...] = (
    {
        "name": "Evening",
        "loras": [{"name": "plain_1", "weight": 0.6}, {"name": "plain_2", "te": 0.2, "unet": 0.4}],
        "prompt": "at dusk",
    },
    {"name": "Night", "loras": [{"name": "river_ink"}], "prompt": "<set:Evening:0.5>, stars"},
    {"name": "Lost", "loras": [{"name": "gone_long_ago"}, {"name": "plain_1"}]},
)


def make_traps(folder: Path, shapes: Shapes) -> None:
    """The files that the table speaks of, besides those that every host has."""
    base = {"ss_base_model_version": "sd_v1", "ss_network_module": "networks.lora", "ss_network_dim": "1"}
    names = ("dotted.v1", "one/twin", "two/twin", "none", "with some space", "fox 🦊", "نهر", "number #1")
    for name in names:
        make_kohya_lora(folder / f"{name}.safetensors", shapes, 0.1, **base)
    make_kohya_lora(folder / "epoch_10.safetensors", shapes, 0.1, **base, ss_output_name="trained name")
    make_kohya_lora(folder / "equal=sign.safetensors", shapes, 0.1, **base)
    for name in ("share_a", "share_b"):
        make_kohya_lora(folder / f"{name}.safetensors", shapes, 0.1, **base, ss_output_name="shared name")
    whole = make_kohya_lora(folder / "cut_short.safetensors", shapes, 0.1, **base)
    whole.write_bytes(whole.read_bytes()[:-200])


def describe(prompt: str | tuple[str, ...]) -> str:
    """A prompt as the table shows it."""
    return json.dumps(prompt if isinstance(prompt, str) else list(prompt), ensure_ascii=False)
