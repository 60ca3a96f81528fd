"""The same prompts through every host at hand: which LoRAs it really had in effect, and what we said it would have.

First as typed, with our extension switched off, against `prompts/lint`; then composed, against `prompts/compose` and the
record of the generation. `--table docs/prompt-table.md` writes the page that shows it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_process import Host, Kind, start_host
from prompt_page import Seen, Weights, write_page
from prompt_table import SDNEXT, SETS, TABLE, Row, describe, make_traps

pytestmark = pytest.mark.timeout(1500)
PROBE = Path(__file__).with_name("probe")
WORDS = ("trigger_missing", "trigger_words_added")


@pytest.fixture(scope="module")
def host(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with the probe and the files of the table."""
    if kind.simulated:
        pytest.skip("the simulator reads no weights: give --sdnext-dir or --reforge-dir for a real host")
    if kind.theme != "Standard":
        pytest.skip("prompts are read alike whatever the theme is")
    running = start_host(kind, tmp_path_factory.mktemp(kind.name), loras=make_traps, beside=[PROBE])
    if kind.grammar == SDNEXT:
        running.set_option("server_rate_limit", 0)
    for content in SETS:
        running.client.post("lora-manager/api/v1/sets", json=content).raise_for_status()
    yield running
    running.stop()


def test_hosts_have_in_effect_what_composing_says(host: Host, request: pytest.FixtureRequest) -> None:
    rows = [row for row in TABLE if row.of_host in ("", host.kind.grammar)]
    outcomes = [ask(host, row) for row in rows]
    table = request.config.getoption("--table")
    if table is not None:
        write_page(table, request.config.cache, host.kind.grammar, outcomes)
    wrong = [
        f"{one.about}: {one.prompt}\n   as typed {one.typed}, foretold {one.foretold}\n   composed {one.composed}, "
        f"said {one.said}, recorded {one.recorded}: {one.became!r}\n   told {one.problems} {one.notes}"
        for one in outcomes
        if one.typed != one.foretold or one.composed != one.said or not is_recorded(one) or not is_told(one)
    ]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} rows differ:\n" + "\n".join(wrong)


def is_recorded(seen: Seen) -> bool:
    """The record names each LoRA once, with the weight of the picture; what stands twice counts twice."""
    sums: dict[str, float] = {}
    for name, _, unet in seen.composed:
        sums[name] = round(sums.get(name, 0.0) + (unet[0] or 0.0), 4)
    return dict(seen.recorded) == sums


def is_told(seen: Seen) -> bool:
    """Whatever composing makes of a prompt that the host would have taken otherwise is told."""
    return seen.typed is None or seen.typed == seen.composed or bool(seen.problems or seen.notes)


def ask(host: Host, row: Row) -> Seen:
    before = host.api("prompts/host")["facts"]["options"]
    for key, value in row.options:
        host.set_option(key, value)
    try:
        return ask_with_options(host, row)
    finally:
        for key, _ in row.options:
            host.set_option(key, before.get(key, 1.0))


def ask_with_options(host: Host, row: Row) -> Seen:
    seen = Seen(row.about, describe(row.prompt), row.negative)
    told = host.api("prompts/host")
    count = 1 if isinstance(row.prompt, str) else len(row.prompt)
    facts = {**told["facts"], "batch_size": count}
    facts["options"] = {**facts["options"], **dict(row.options)}
    body: dict[str, Any] = {"host": told["host"], "checkpoint": told["checkpoint"], "facts": facts}
    body |= {"prompt": row.prompt, "negative_prompt": row.negative}
    linted = post(host, "prompts/lint", body)
    seen.problems = messages(linted["problems"])
    if row.typed:
        if host.kind.grammar == SDNEXT:
            # where reading fails it keeps those of the job before: let there be none
            generate(host, Row("", "a quiet valley"), enabled=False)
        seen.typed = generate(host, row, enabled=False)
        seen.foretold = weights_said(linted)
    before = host.api("generations", limit=1)["total"]
    seen.composed = generate(host, row, enabled=True)
    composed = post(host, "prompts/compose", {**body, "seed": row.seed, "add_trigger_words": True})
    seen.notes = messages(composed["notes"])
    seen.said = weights_said(composed)
    host.wait_for_records(before + 1)
    record = host.records()[0]
    seen.became = record["prompt"]
    seen.recorded = [(one["name"], one["weight"]) for one in record["loras"]]
    return seen


def generate(host: Host, row: Row, *, enabled: bool) -> Weights:
    """Make the image and tell what was in effect while it was made."""
    scripts: dict[str, Any] = {"LoRA Manager": {"args": [enabled, True]}}
    if not isinstance(row.prompt, str):
        scripts["Prompt probe"] = {"args": [json.dumps(row.prompt)]}
    prompt = row.prompt if isinstance(row.prompt, str) else ""
    host.generate(prompt, negative_prompt=row.negative, seed=row.seed, alwayson_scripts=scripts)
    answer = host.client.get("prompt-probe/last")
    answer.raise_for_status()
    heard = answer.json().get("loras")
    if heard is None:
        return [("the probe has heard nothing", None, (None,))]
    # of a text in the place of a number, SDNext fails later
    read = (one for one in heard if not any(isinstance(each, str) for each in (one["te"], *one["unet"])))
    return rounded((Path(one["file"]).stem, one["te"], one["unet"]) for one in read)


def post(host: Host, address: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = host.client.post(f"lora-manager/api/v1/{address}", json=body)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def messages(told: list[dict[str, Any]]) -> list[str]:
    """What is said, each once; but for trigger words, which are no trap."""
    return list(dict.fromkeys(one["message"] for one in told if one["code"] not in WORDS))


def weights_said(answer: dict[str, Any]) -> Weights:
    return rounded((one["name"], one["te"], one["unet"]) for one in answer["loras"])


def rounded(found: Any) -> Weights:
    """To four places; what is no number at all (nan) comes as None."""

    def number(value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else round(float(value), 4)

    return [(name, number(te), tuple(map(number, unet))) for name, te, unet in found]
