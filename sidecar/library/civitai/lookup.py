"""Which Civitai model version a file is, asked by its SHA256: one file, a selection, or all that were never asked for."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson

from sidecar.library.civitai.archive import to_version
from sidecar.library.civitai.client import BATCH, CivitaiTrouble, Client
from sidecar.library.civitai.stored import save_answers
from sidecar.library.foreign import as_id, as_list, as_object
from sidecar.state import State
from sidecar.tasks import Task

log = logging.getLogger("lora-manager.civitai")

HASH_WAIT_SECONDS = 0.5
ARCHIVE_FAILURES = 3


def look_up(state: State, task: Task, lora_ids: list[int] | None, *, again: bool = False) -> dict[str, int]:
    """Ask for the LoRAs of these ids, or for all; those that were asked for before only with `again`.

    Every batch of 100 is kept at once, so that a lookup that ends early goes on where it was.
    Returns {"found", "not_found", "skipped": not hashed, "known": asked before, "unanswered": Civitai does not know
    them and the archive failed; they are not remembered and asked again the next time}.

    Raises:
        CivitaiTrouble: no sensible answer after several tries; what was answered before is kept.
    """
    outcome = {"found": 0, "not_found": 0, "skipped": 0, "known": 0, "unanswered": 0}
    outcome["skipped"] = _wait_for_hashes(state, task, lora_ids)
    hashes, outcome["known"] = _hashes(state, lora_ids, again)
    task.total, task.message = len(hashes), ""
    client = Client(state.settings, task.cancel_asked)
    archive = _Archive(client, task)
    try:
        for start in range(0, len(hashes), BATCH):
            batch = hashes[start : start + BATCH]
            answers = _ask(client, batch)
            _keep(state, {sha256: answer for sha256, answer in answers.items() if answer}, "civitai")
            missing = [sha256 for sha256 in batch if answers[sha256] is None]
            archived = archive.ask(missing)
            _keep(state, {sha256: answer for sha256, answer in archived.items() if answer}, "archive")
            _keep(state, {sha256: None for sha256, answer in archived.items() if not answer}, "civitai")
            found = sum(answer is not None for answer in (answers | archived).values())
            outcome["found"] += found
            outcome["unanswered"] += len(missing) - len(archived)
            outcome["not_found"] += len(archived) - sum(answer is not None for answer in archived.values())
            task.advance(len(batch))
    finally:
        client.close()
    if outcome["unanswered"]:
        task.message = f"{archive.trouble} {outcome['unanswered']:,} files are asked for again the next time."
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
        unclaimed = False
        for version in client.versions_by_hash(hashes):
            matched = [sha256 for sha256 in hashes_of(version) if sha256 in answers]
            answers.update(dict.fromkeys(matched, version))
            unclaimed = unclaimed or not matched
        if (
            unclaimed
        ):  # an archived version is answered without its files, so which hash it is for is not told
            for sha256 in hashes:
                answers[sha256] = answers[sha256] or client.version_by_hash(sha256)
    add_models(client, [version for version in answers.values() if version])
    return answers


def hashes_of(version: dict[str, Any]) -> list[str]:
    """SHA256 of a version's files, lower case."""
    found = (as_object(as_object(file).get("hashes")).get("SHA256") for file in as_list(version.get("files")))
    return [sha256.lower() for sha256 in found if isinstance(sha256, str)]


def add_models(client: Client, versions: list[dict[str, Any]]) -> None:
    """Put what Civitai says of their models into versions: name, tags, author, description; not the other versions."""
    ids = {model_id for version in versions if (model_id := as_id(version.get("modelId")))}
    models = client.models(sorted(ids)) if ids else {}
    for version in versions:
        model = models.get(as_id(version.get("modelId")) or 0)
        if model:
            known = {name: value for name, value in model.items() if name != "modelVersions"}
            version["model"] = {**as_object(version.get("model")), **known}


class _Archive:
    """The archive during one lookup: what fails there is not taken for an answer, and ends nothing else."""

    def __init__(self, client: Client, task: Task) -> None:
        self.trouble = ""
        self._client = client
        self._task = task
        self._failures = 0

    def ask(self, hashes: list[str]) -> dict[str, dict[str, Any] | None]:
        """What it has of hashes that Civitai does not know, None where it has nothing; those it failed on are left out.

        After some failures in a row it is asked no more.
        """
        answers: dict[str, dict[str, Any] | None] = {}
        for sha256 in hashes:
            if self._failures >= ARCHIVE_FAILURES:
                break
            self._task.advance(0)
            try:
                answer = self._client.archived(sha256)
            except CivitaiTrouble as error:
                self._failures += 1
                self.trouble = f"The archive failed: {error.message}"
                log.warning("%s", self.trouble)
                continue
            self._failures = 0
            answers[sha256] = to_version(answer) if answer else None
        return answers


def _keep(state: State, answers: dict[str, dict[str, Any] | None], source: str) -> None:
    if not answers:
        return
    changed = state.database.write(lambda connection: save_answers(connection, answers, source))
    state.library.scan_places_of(changed)
    for lora_id in changed[:20]:
        state.events.publish("lora.edited", id=lora_id)
