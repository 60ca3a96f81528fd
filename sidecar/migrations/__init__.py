"""Every change of the database's schema, in order. A landed migration is never edited; a new one is added below it."""

from __future__ import annotations

import sqlite_utils
from sqlite_utils import Migrations

from sidecar.migrations.scripts import (
    CIVITAI,
    FILES,
    FIRST,
    HASHES,
    NEAR,
    ORGANISE,
    RECOMMEND,
    SEARCH,
    SETS,
    WEIGHTS,
    WRITE_BACK,
)

migrations = Migrations("lora-manager")


def _run(db: sqlite_utils.Database, script: str) -> None:
    """Its statements one by one: executescript would end the migration's own transaction."""
    for statement in script.split(";\n"):
        db.conn.execute(statement)


@migrations()
def m001_first_tables(db: sqlite_utils.Database) -> None:
    """Roots, identities, files, tags, search and generations."""
    _run(db, FIRST)


@migrations()
def m002_organise(db: sqlite_utils.Database) -> None:
    """What the user makes of the library: labels, levels, tag rules, collections and undo."""
    _run(db, ORGANISE)


@migrations()
def m003_files(db: sqlite_utils.Database) -> None:
    """The journal of file operations, and the trash."""
    _run(db, FILES)


@migrations()
def m004_civitai(db: sqlite_utils.Database) -> None:
    """What Civitai has said, by content; what is not to be offered; downloads."""
    _run(db, CIVITAI)


@migrations()
def m005_weights(db: sqlite_utils.Database) -> None:
    """What is known of the weights: inspections, fingerprints, pairs that are the same."""
    _run(db, WEIGHTS)


@migrations()
def m006_write_back(db: sqlite_utils.Database) -> None:
    """What writing back has replaced in side files; what was said before is due."""
    _run(db, WRITE_BACK)


@migrations()
def m007_search_training_and_authors(db: sqlite_utils.Database) -> None:
    """Search finds authors and what training was fed, too."""
    db.conn.execute("DROP TABLE search_terms")
    db.conn.execute("DROP TABLE search")
    _run(db, SEARCH)


@migrations()
def m008_sets(db: sqlite_utils.Database) -> None:
    """Sets of LoRAs, and how each LoRA's words are to be used."""
    _run(db, SETS)


@migrations()
def m009_hashes(db: sqlite_utils.Database) -> None:
    """Every kind of hash can be looked up by how it begins."""
    _run(db, HASHES)


@migrations()
def m010_recommend(db: sqlite_utils.Database) -> None:
    """What recommendations are worked out from: embeddings, sketches of weights, feedback."""
    _run(db, RECOMMEND)


@migrations()
def m011_names_without_dots(db: sqlite_utils.Database) -> None:
    """Names as SDNext writes them, with `_` for `.`, are looked up by an index."""
    db.conn.execute(
        "CREATE INDEX loras_undotted ON loras(replace(sort_name, '.', '_')) WHERE instr(sort_name, '.') > 0"
    )


@migrations()
def m012_near(db: sqlite_utils.Database) -> None:
    """Pairs of LoRAs with nearly the same weights."""
    _run(db, NEAR)
