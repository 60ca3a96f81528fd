"""The same prompts through every host at hand: which LoRAs it really had in effect, and what we said it would have.

First as typed, with our extension switched off, against `prompts/lint`; then composed, against `prompts/compose` and the
record of the generation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from host_process import Host, Kind, start_host
from prompt_table import SDNEXT, SETS, TABLE, Row, describe, make_traps

pytestmark = pytest.mark.timeout(1500)
PROBE = Path(__file__).with_name("probe")
Weights = list[tuple[str, float | None, tuple[float | None, ...]]]


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


@dataclass
class Outcome:
    """What came of one row."""

    row: Row
    typed: Weights = field(default_factory=list)
    foretold: Weights = field(default_factory=list)
    composed: Weights = field(default_factory=list)
    said: Weights = field(default_factory=list)
    recorded: list[tuple[str, float]] = field(default_factory=list)
    prompt: str = ""


def test_hosts_have_in_effect_what_composing_says(host: Host, request: pytest.FixtureRequest) -> None:
    rows = [row for row in TABLE if row.of_host in ("", host.kind.grammar)]
    outcomes = [ask(host, row) for row in rows]
    table = request.config.getoption("--table")
    if table is not None:
        with table.open("a", encoding="utf-8") as file:
            file.write(as_markdown(host, outcomes))
    wrong = [
        f"{one.row.about}: {describe(one.row.prompt)}\n   as typed {one.typed}, foretold {one.foretold}\n"
        f"   composed {one.composed}, said {one.said}, recorded {one.recorded}: {one.prompt!r}"
        for one in outcomes
        if one.typed != one.foretold or one.composed != one.said or not is_recorded(one)
    ]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} rows differ:\n" + "\n".join(wrong)


def ask(host: Host, row: Row) -> Outcome:
    outcome = Outcome(row)
    facts = host.api("prompts/host")
    prompts = [row.prompt] if isinstance(row.prompt, str) else list(row.prompt)
    about = {**facts["facts"], "batch_size": len(prompts)}
    body: dict[str, Any] = {"host": facts["host"], "checkpoint": facts["checkpoint"], "facts": about}
    if row.typed:
        if (
            host.kind.grammar == SDNEXT
        ):  # where reading fails it keeps those of the job before: let there be none
            generate(host, Row("", "a quiet valley"), enabled=False)
        outcome.typed = generate(host, row, enabled=False)
        outcome.foretold = said(host, "prompts/lint", {**body, "prompt": row.prompt})
    before = host.api("generations", limit=1)["total"]
    outcome.composed = generate(host, row, enabled=True)
    composing = {
        "prompt": row.prompt, "negative_prompt": row.negative, "seed": row.seed, "add_trigger_words": True
    }  # fmt: skip
    outcome.said = said(host, "prompts/compose", {**body, **composing})
    host.wait_for_records(before + 1)
    record = host.records()[0]
    outcome.prompt = record["prompt"]
    outcome.recorded = [(one["name"], one["weight"]) for one in record["loras"]]
    return outcome


def generate(host: Host, row: Row, *, enabled: bool) -> Weights:
    """Make the image and tell what was in effect while it was made."""
    scripts: dict[str, Any] = {"LoRA Manager": {"args": [enabled, True]}}
    if not isinstance(row.prompt, str):
        scripts["Prompt probe"] = {"args": [json.dumps(row.prompt)]}
    prompt = row.prompt if isinstance(row.prompt, str) else ""
    host.generate(prompt, negative_prompt=row.negative, seed=row.seed, alwayson_scripts=scripts)
    answer = host.client.get("prompt-probe/last")
    answer.raise_for_status()
    return rounded(
        (Path(one["file"]).stem, one["te"], one["unet"])
        for one in answer.json()["loras"]
        if not any(
            isinstance(number, str) for number in (one["te"], *one["unet"])
        )  # SDNext fails on a text later
    )


def said(host: Host, address: str, body: dict[str, Any]) -> Weights:
    answer = host.client.post(f"lora-manager/api/v1/{address}", json=body)
    answer.raise_for_status()
    return rounded((one["name"], one["te"], one["unet"]) for one in answer.json()["loras"])


def rounded(found: Any) -> Weights:
    """To four places; what is no number at all (nan) comes as None."""

    def number(value: float | None) -> float | None:
        return None if value is None else round(float(value), 4)

    return [(name, number(te), tuple(map(number, unet))) for name, te, unet in found]


def is_recorded(outcome: Outcome) -> bool:
    """The record names each LoRA once, with the weight of the picture."""
    return dict(outcome.recorded) == {name: unet[0] for name, _, unet in outcome.composed}


def as_markdown(host: Host, outcomes: list[Outcome]) -> str:
    def shown(weights: Weights) -> str:
        return ", ".join(f"{name} {unet[0]}" for name, _, unet in weights) or "–"

    lines = [
        f"\n### {host.kind.name}\n",
        "| about | prompt | as typed | foretold | composed | said |",
        "|---|---|---|---|---|---|",
    ]
    for one in outcomes:
        prompt = describe(one.row.prompt).replace("|", "\\|")
        typed, foretold = (shown(one.typed), shown(one.foretold)) if one.row.typed else ("", "")
        lines.append(
            f"| {one.row.about} | `{prompt}` | {typed} | {foretold} | {shown(one.composed)} | {shown(one.said)} |"
        )
    return "\n".join(lines) + "\n"
