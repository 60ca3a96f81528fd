"""Watches the LoRA folders and asks for a scan of what changed."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import watchfiles

from sidecar.library.folders import Root
from sidecar.library.scanning import Place, Scanner
from sidecar.library.side_files import IMAGE_EXTENSIONS, MODEL_EXTENSIONS, VIDEO_EXTENSIONS
from sidecar.library.walking import SKIPPED

log = logging.getLogger("lora-manager.library")

_WATCHED = (*MODEL_EXTENSIONS, *IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS, ".json", ".info", ".txt")
RETRY_SECONDS = 30.0
DEBOUNCE_MS = 700


class Watcher:
    """One thread for all roots; `watch` starts it anew when the roots change."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, roots: list[Root]) -> None:
        """Watch these roots, and no others, from now on."""
        self.stop()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(roots, self._stop), name="library-watch", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=10)

    def _run(self, roots: list[Root], stop: threading.Event) -> None:
        while not stop.is_set():
            there = [root for root in roots if os.path.isdir(root.path)]
            try:
                self._watch(there, stop, return_after=None if len(there) == len(roots) else RETRY_SECONDS)
            except (OSError, RuntimeError) as error:
                log.warning(
                    "Changes on disk are not seen (%s); rescan by hand, or raise fs.inotify.max_user_watches.",
                    error,
                )
                stop.wait(RETRY_SECONDS)
            back = [root for root in roots if root not in there and os.path.isdir(root.path)]
            if back:
                self._scanner.request([Place(root) for root in back])

    def _watch(self, roots: list[Root], stop: threading.Event, return_after: float | None) -> None:
        """Report changes until told to stop; with `return_after`, come back to look for roots that were away."""
        if not roots:
            stop.wait(RETRY_SECONDS)
            return
        waited = 0.0
        step = 5_000
        changes = watchfiles.watch(
            *(root.path for root in roots),
            stop_event=stop,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            rust_timeout=step,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for batch in changes:
            places = {place for _, path in batch for place in [_place(roots, Path(path))] if place}
            if places:
                self._scanner.request(sorted(places))
            waited += step / 1000
            vanished = any(not os.path.isdir(root.path) for root in roots)
            if vanished:
                self._scanner.request([Place(root) for root in roots if not os.path.isdir(root.path)])
            if vanished or (return_after is not None and waited >= return_after):
                return


def _place(roots: list[Root], path: Path) -> Place | None:
    """The folder to look at for a changed path: a file's own, a new or vanished folder's parent with all below."""
    root = next((root for root in roots if path.is_relative_to(root.path)), None)
    if root is None or path == Path(root.path):
        return Place(root) if root else None
    if not SKIPPED.isdisjoint(path.relative_to(root.path).parts):
        return None
    if path.suffix.lower() in _WATCHED and not path.is_dir():
        return Place(root, _relative(path.parent, root), recursive=False)
    if path.is_dir():
        return Place(root, _relative(path, root))
    if not path.exists() and not path.suffix:
        return Place(root, _relative(path.parent, root))
    return None


def _relative(path: Path, root: Root) -> str:
    relative = path.relative_to(root.path).as_posix()
    return "" if relative == "." else relative
