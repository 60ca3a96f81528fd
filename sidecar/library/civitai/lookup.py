"""Which Civitai model version a file is, asked by its SHA256: one file, a selection, or all that were never asked for."""

from __future__ import annotations

import time
from typing import Any

import orjson

from sidecar.library.civitai.archive import to_version
from sidecar.library.civitai.client import BATCH, Client
from sidecar.library.civitai.stored import save_answers
from sidecar.library.foreign import as_list, as_object
from sidecar.state import State
from sidecar.tasks import Task

HASH_WAIT_SECONDS = 0.5


def look_up(state: State, task: Task, lora_ids: list[int] | None, *, again: bool = False) -> dict[str, int]:
    """Ask for the LoRAs of these ids, or for all; those that were asked for before only with `again`.

    Every batch of 100 is kept at once, so that a lookup that ends early goes on where it was.
    Returns {"found", "not_found", "skipped": not hashed, "known": asked before}.

    Raises:
        CivitaiTrouble: no sensible answer after several tries; what was answered before is kept.
    """
    outcome = {"found": 0, "not_found": 0, "skipped": 0, "known": 0}
    outcome["skipped"] = _wait_for_hashes(state, task, lora_ids)
    hashes, outcome["known"] = _hashes(state, lora_ids, again)
    task.total, task.message = len(hashes), ""
    client = Client(state.settings, task.cancel_asked)
    try:
        for start in range(0, len(hashes), BATCH):
            batch = hashes[start : start + BATCH]
            answers = _ask(client, batch)
            _keep(state, answers, "civitai")
            missing = [sha256 for sha256 in batch if answers[sha256] is None]
            archived = _ask_archive(client, missing, task)
            _keep(state, archived, "archive")
            found = sum(answer is not None for answer in (answers | archived).values())
            outcome["found"] += found
            outcome["not_found"] += len(batch) - found
            task.advance(len(batch))
    finally:
        client.close()
    return outcome


def _wait_for_hashes(state: State, task: Task, lora_ids: list[int] | None) -> int:
    """Files are known by their hashes: wait for those still being made. Returns how many have none in the end."""
    while True:
        pending = _unhashed(state, lora_ids)
        if not pending or state.library.hasher.status()["paused"] or not state.library.hasher.started:
            return pending
        task.message = f"Waiting for the hashes of {pending:,} files."
        task.advance(0)
        time.sleep(HASH_WAIT_SECONDS)


def _unhashed(state: State, lora_ids: list[int] | None) -> int:
    wanted = "" if lora_ids is None else "AND id IN (SELECT value FROM json_each(?))"
    values = [] if lora_ids is None else [orjson.dumps(lora_ids).decode()]
    sql = f"SELECT count(*) FROM loras WHERE hash_state = 'pending' AND present AND state = 'ok' {wanted}"
    return int(state.database.reader().execute(sql, values).fetchone()[0])


def _hashes(state: State, lora_ids: list[int] | None, again: bool) -> tuple[list[str], int]:
    """SHA256 to ask for, each once, and how many were left out as asked for before."""
    wanted = "" if lora_ids is None else "AND l.id IN (SELECT value FROM json_each(?))"
    values = [] if lora_ids is None else [orjson.dumps(lora_ids).decode()]
    rows = (
        state.database.reader()
        .execute(
            f"""SELECT DISTINCT l.sha256, c.state IS NOT NULL AS known FROM loras l
                LEFT JOIN civitai_versions c ON c.sha256 = l.sha256
                WHERE l.sha256 IS NOT NULL AND l.state = 'ok' {wanted}""",
            values,
        )
        .fetchall()
    )
    hashes = [row["sha256"] for row in rows if again or not row["known"]]
    return hashes, len(rows) - len(hashes)


def _ask(client: Client, hashes: list[str]) -> dict[str, dict[str, Any] | None]:
    """Versions by SHA256, each with its model inside."""
    answers: dict[str, dict[str, Any] | None] = dict.fromkeys(hashes)
    if len(hashes) == 1:
        answers[hashes[0]] = client.version_by_hash(hashes[0])
    else:
        for version in client.versions_by_hash(hashes):
            for sha256 in hashes_of(version):
                if sha256 in answers:
                    answers[sha256] = version
    add_models(client, [version for version in answers.values() if version])
    return answers


def hashes_of(version: dict[str, Any]) -> list[str]:
    """SHA256 of a version's files, lower case."""
    found = (as_object(as_object(file).get("hashes")).get("SHA256") for file in as_list(version.get("files")))
    return [sha256.lower() for sha256 in found if isinstance(sha256, str)]


def add_models(client: Client, versions: list[dict[str, Any]]) -> None:
    """Put what Civitai says of their models into versions: name, tags, author, description; not the other versions."""
    ids = {version["modelId"] for version in versions if isinstance(version.get("modelId"), int)}
    models = client.models(sorted(ids)) if ids else {}
    for version in versions:
        model = models.get(version.get("modelId", 0))
        if model:
            known = {name: value for name, value in model.items() if name != "modelVersions"}
            version["model"] = {**as_object(version.get("model")), **known}


def _ask_archive(client: Client, hashes: list[str], task: Task) -> dict[str, dict[str, Any] | None]:
    """What the archive has of hashes that Civitai does not know; those it has nothing of are left out."""
    found: dict[str, dict[str, Any] | None] = {}
    for sha256 in hashes:
        answer = client.archived(sha256)
        version = to_version(answer) if answer else None
        if version:
            found[sha256] = version
        task.advance(0)
    return found


def _keep(state: State, answers: dict[str, dict[str, Any] | None], source: str) -> None:
    if not answers:
        return
    changed = state.database.write(lambda connection: save_answers(connection, answers, source))
    state.library.scan_places_of(changed)
    for lora_id in changed[:20]:
        state.events.publish("lora.edited", id=lora_id)
