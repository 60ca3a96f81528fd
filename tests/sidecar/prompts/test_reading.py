"""How each host reads a tag; what real hosts make of the same tags is compared in tests/hosts."""

from __future__ import annotations

import pytest

from sidecar.prompts.facts import Facts
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.reading import Unreadable, read_tag

LOST = "lost"
UNKNOWN = "unknown"
NOTHING = "this one alone has no effect"


def read(tag: str, host: str) -> object:
    facts = Facts(host, options={"extra_networks_default_multiplier": 0.6} if host == "sdnext" else {})
    try:
        reading = read_tag(find_tags(tag)[0], facts)
    except Unreadable:
        return LOST
    if reading is not None and reading.unreadable:
        return NOTHING
    return UNKNOWN if reading is None else (reading.te, *reading.unet)


@pytest.mark.parametrize(
    ("tag", "sdnext", "a1111"),
    [
        ("<lora:a>", (0.6, 0.6, 0.6, 0.6), (1, 1, 1, 1)),
        ("<lora:a:0.8>", (0.8, 0.8, 0.8, 0.8), (0.8, 0.8, 0.8, 0.8)),
        ("<lora:a: 8e-1 >", (0.8, 0.8, 0.8, 0.8), (0.8, 0.8, 0.8, 0.8)),
        ("<lora:a:0,8>", (0.6, 0.6, 0.6, 0.6), LOST),
        ("<lora:a:0.8:0.5>", (0.8, 0.8, 0.8, 0.8), (0.8, 0.5, 0.5, 0.5)),
        ("<lora:a:0.8:te=0.2>", (0.2, 0.2, 0.2, 0.2), (0.2, 0.2, 0.2, 0.2)),
        ("<lora:a:0.8:te=0.2:unet=0.5>", (0.2, 0.5, 0.5, 0.5), (0.2, 0.5, 0.5, 0.5)),
        ("<lora:a:unet=0.5>", (0.6, 0.5, 0.5, 0.5), (1, 0.5, 0.5, 0.5)),
        ("<lora:a:1:in=0.1:mid=0.2:out=0.3>", (1, 0.1, 0.2, 0.3), (1, 1, 1, 1)),
        ("<lora:a:1:dyn=x>", LOST, LOST),
        ("<lora:a:1:1:8>", (1, 1, 1, 1), (1, 1, 1, 1)),
        ("<lora:a:1:1:x>", (1, 1, 1, 1), LOST),
        ("<lora:a:1:lbw=ALL:step=3>", (1, 1, 1, 1), (1, 1, 1, 1)),
        ("<lora:a:0.8@0.5,0.2@1>", (0.8, 0.8, 0.8, 0.8), LOST),
        ("<lora:a:0.8@0,0.2@1>", (0.8, 0.8, 0.8, 0.8), LOST),
        ("<lora:a:0.8@-1,0.2@1>", (0.5, 0.5, 0.5, 0.5), LOST),
        ("<lora:a:0.8@x>", LOST, LOST),
        ("<lora:a:te=x>", NOTHING, LOST),
        ("<lora:a:1:unet=x>", NOTHING, LOST),
        ("<lora:a=b:1>", (0.6, 0.6, 0.6, 0.6), (1, 1, 1, 1)),  # and the name is 1
        ("<lora:a=b>", LOST, LOST),
        ("<lora:a=b=c:1>", (1, 1, 1, 1), (1, 1, 1, 1)),
        ("<lyco:a:1>", UNKNOWN, (1, 1, 1, 1)),
        ("<LORA:a:1>", UNKNOWN, UNKNOWN),
        ("<lora:a:1:high>", (1, 1, 1, 1), LOST),
    ],
)
def test_each_host_reads_a_tag_in_its_own_way(tag: str, sdnext: object, a1111: object) -> None:
    assert (
        read(tag, "sdnext") == pytest.approx(sdnext)
        if isinstance(sdnext, tuple)
        else read(tag, "sdnext") == sdnext
    )
    assert read(tag, "reforge") == a1111


def test_sdnext_skips_a_lora_without_any_weight() -> None:
    reading = read_tag(find_tags("<lora:a:0>")[0], Facts("sdnext"))
    assert reading and reading.skipped
    reading = read_tag(find_tags("<lora:a:0:out=1>")[0], Facts("sdnext"))
    assert reading and not reading.skipped
