"""Closing the database while threads read from it: they end with an error that says why, and the process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = """
import sys, threading
from pathlib import Path
from sidecar.database import Database
from sidecar.errors import Unavailable

COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) SELECT count(*) FROM c"
for number in range(10):
    database, refused = Database(Path(sys.argv[1], str(number))), []
    begun = threading.Barrier(4)

    def read():
        database.reader().execute(COUNT).fetchall()
        begun.wait()
        try:
            while True:
                database.reader().execute(COUNT).fetchall()
        except Unavailable as error:
            refused.append(error.message)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    database.close()
    for thread in threads:
        thread.join()
    assert len(refused) == 3 and "stopping" in refused[0]
"""


def test_readers_of_a_closed_database_are_refused_and_nothing_dies(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
