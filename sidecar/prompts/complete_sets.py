"""Sets by what is typed of their names, with what completion shows of them."""

from __future__ import annotations

from typing import Any

from sidecar.database import Database
from sidecar.memo import remember

MAX_PREVIEWS = 4


def find_sets(database: Database, typed: str, limit: int) -> list[dict[str, Any]]:
    """Sets whose name begins with `typed`, then those that have it anywhere; by name."""
    wanted = typed.strip().casefold()
    names = remember(database, "set names", lambda: _names(database))
    ranked = sorted((not name.startswith(wanted), name, set_id) for name, set_id in names if wanted in name)
    return [_read(database, set_id) for _, _, set_id in ranked[:limit]]


def _names(database: Database) -> list[tuple[str, int]]:
    rows = database.reader().execute("SELECT id, name FROM sets WHERE deleted IS NULL")
    return [(row["name"].casefold(), row["id"]) for row in rows]


def _read(database: Database, set_id: int) -> dict[str, Any]:
    reader = database.reader()
    row = reader.execute(
        """SELECT s.id, s.name, s.version, v.base_model,
                  EXISTS (SELECT 1 FROM set_pictures p WHERE p.set_id = s.id) AS preview,
                  (SELECT count(*) FROM set_loras x WHERE x.set_id = s.id AND x.version = s.version) AS loras
           FROM sets s JOIN set_versions v ON v.set_id = s.id AND v.version = s.version WHERE s.id = ?""",
        (set_id,),
    ).fetchone()
    loras = reader.execute(
        """SELECT min(l.id) AS id, l.base_model, l.preview_kind FROM set_loras x
           JOIN loras l ON l.identity_id = x.identity_id AND l.present
           WHERE x.set_id = ? AND x.version = ? GROUP BY x.position ORDER BY x.position""",
        (set_id, row["version"]),
    ).fetchall()
    bases = {lora["base_model"] for lora in loras}
    return {
        "id": row["id"],
        "name": row["name"],
        "preview": bool(row["preview"]),
        "previews": [lora["id"] for lora in loras if lora["preview_kind"]][:MAX_PREVIEWS],
        "base_model": row["base_model"] or (bases.pop() if len(bases) == 1 else None),
        "loras": row["loras"],
    }
