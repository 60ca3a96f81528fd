"""A local HTTP server that behaves as Civitai's API, its storage and the archive do, errors included."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class CivitaiServer:
    """What is served: versions with their models, files by version, and `trouble` that takes a request over.

    `trouble(seen)` returns (status, headers, body bytes, bytes really sent or None for all), or None to answer as usual.
    """

    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    models: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)
    archive: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    trouble: Callable[[Seen], tuple[int, dict[str, str], bytes, int | None] | None] = lambda seen: None
    storage: CivitaiServer | None = None
    key_needed: str | None = None
    ranges: bool = True

    def start(self) -> CivitaiServer:
        """Serve on a free port of this machine."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, model_id: int, version_id: int, content: bytes, **changes: Any) -> dict[str, Any]:
        """A version of a model with one file; later ones are newer."""
        model = self.models.setdefault(
            model_id,
            {
                "id": model_id, "name": f"Model {model_id}", "type": "LORA", "nsfw": False, "nsfwLevel": 1,
                "tags": ["style", "anime"], "creator": {"username": "mira"},
                "description": "<p>A <b>fine</b> model</p>", "modelVersions": [],
            },
        )  # fmt: skip
        version = {
            "id": version_id,
            "modelId": model_id,
            "name": f"v{version_id}",
            "baseModel": "SDXL 1.0",
            "publishedAt": f"2025-01-{version_id % 28 + 1:02}T00:00:00.000Z",
            "trainedWords": [f"word {version_id}"],
            "files": [
                {
                    "id": version_id * 10, "name": f"model{version_id}.safetensors", "type": "Model", "primary": True,
                    "sizeKB": len(content) / 1024, "downloadUrl": f"https://civitai.com/api/download/models/{version_id}",
                    "hashes": {"SHA256": hashlib.sha256(content).hexdigest().upper()},
                }
            ],
            "images": [],
            **changes,
        }  # fmt: skip
        self.files[version_id] = content
        self.versions[version_id] = version
        model["modelVersions"].insert(0, version)
        return version

    def asked(self, part: str) -> list[Seen]:
        """Requests whose path has `part` in it."""
        return [seen for seen in self.seen if part in seen.path]

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes, int | None]:
        """The usual answer."""
        path = seen.path
        if path.startswith("/api/sha256/"):
            return _json(self.archive.get(path.rsplit("/", 1)[1]))
        if path.startswith("/api/download/models/"):
            return self._download(seen, int(path.rsplit("/", 1)[1]))
        if path.startswith("/storage/"):
            return self._send_file(seen, self.files[int(path.rsplit("/", 1)[1])])
        if path == "/api/v1/model-versions/by-hash":
            wanted = {sha256.upper() for sha256 in seen.body}
            found = [self._version(one) for one in self.versions.values() if wanted & set(_hashes(one))]
            return _json(found[::-1])
        if path.startswith("/api/v1/model-versions/by-hash/"):
            wanted = {path.rsplit("/", 1)[1].upper()}
            found = [self._version(one) for one in self.versions.values() if wanted & set(_hashes(one))]
            return _json(found[0] if found else None)
        if path.startswith("/api/v1/model-versions/"):
            version = self.versions.get(int(path.rsplit("/", 1)[1]))
            return _json(self._version(version) if version else None)
        if path == "/api/v1/models":
            ids = [int(number) for number in seen.query["ids"][0].split(",")]
            return _json({"items": [self.models[one] for one in ids if one in self.models], "metadata": {}})
        if path.startswith("/api/v1/models/"):
            return _json(self.models.get(int(path.rsplit("/", 1)[1])))
        return _json(None)

    def _version(self, version: dict[str, Any]) -> dict[str, Any]:
        model = self.models[version["modelId"]]
        return {**version, "model": {"name": model["name"], "type": model["type"], "nsfw": model["nsfw"]}}

    def _download(self, seen: Seen, version: int) -> tuple[int, dict[str, str], bytes, int | None]:
        if version not in self.files:
            return _json(None)
        if self.key_needed and seen.headers.get("authorization") != f"Bearer {self.key_needed}":
            return 401, {"Content-Type": "application/json"}, b'{"error":"Unauthorized"}', None
        if self.storage:
            self.storage.files[version] = self.files[version]
            return 307, {"Location": f"{self.storage.url}/storage/{version}"}, b"", None
        return self._send_file(seen, self.files[version])

    def _send_file(self, seen: Seen, content: bytes) -> tuple[int, dict[str, str], bytes, int | None]:
        headers = {"Content-Type": "application/octet-stream"}
        wanted = seen.headers.get("range")
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return 206, headers, content[start:], None
        return 200, headers, content, None


def _json(content: Any) -> tuple[int, dict[str, str], bytes, int | None]:
    if content is None:
        return 404, {"Content-Type": "application/json"}, b'{"error":"Not found"}', None
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode(), None


def _hashes(version: dict[str, Any]) -> list[str]:
    return [file["hashes"]["SHA256"] for file in version["files"]]


def _handler(civitai: CivitaiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, parts.path, parse_qs(parts.query), headers, body)
            civitai.seen.append(seen)
            status, answer, content, sent = civitai.trouble(seen) or civitai.answer(seen)
            self.send_response(status)
            for name, value in answer.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content[:sent])
            except OSError:
                return
            if sent is not None:
                self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
