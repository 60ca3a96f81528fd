"""What the tests of previews share: a server of pictures on this machine, and pictures and films made by hand."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

WEBM = Path(__file__).parents[1] / "web" / "preview.webm"
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PictureServer

    def do_GET(self) -> None:
        self.server.requests.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.give(b"not here", "text/plain", 404)
        else:
            answer(self)

    def give(self, content: bytes, media_type: str, status: int = 200, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


class PictureServer(ThreadingHTTPServer):
    """Answers by path: `server.answers["/a.png"] = gives(content)`; `requests` has (path, headers) of all that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.stopped = threading.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"


@contextmanager
def serving() -> Iterator[PictureServer]:
    server = PictureServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def gives(
    content: bytes, media_type: str = "image/png", status: int = 200, length: int | None = None
) -> Answer:
    return lambda handler: handler.give(content, media_type, status, length)


def redirects(to: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def drips(content: bytes, rest: bytes = b"") -> Answer:
    """Sends `content`, then one byte of `rest` now and then, without end, until the server stops."""

    def answer(handler: Handler) -> None:
        try:
            handler.wfile.write(content)
            handler.wfile.flush()
            while rest and not handler.server.stopped.wait(0.05):
                handler.wfile.write(rest[:1])
                handler.wfile.flush()
            handler.server.stopped.wait(20)
        except OSError:
            pass  # the client had enough
        handler.close_connection = True

    return answer


def animated(form: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of three frames."""
    frames = [Image.new("RGB", size, colour) for colour in ("red", "green", "blue")]
    content = io.BytesIO()
    frames[0].save(content, form, save_all=True, append_images=frames[1:], duration=100)
    return content.getvalue()


def box(name: bytes, content: bytes) -> bytes:
    """A box of an MP4: its size, name and content."""
    return (8 + len(content)).to_bytes(4, "big") + name + content


def film(track: bytes = b"vide") -> bytes:
    """The boxes of an MP4 with one track."""
    handler = box(b"hdlr", bytes(8) + track + bytes(13))
    movie = box(b"moov", box(b"mvhd", bytes(100)) + box(b"trak", box(b"mdia", handler)))
    return box(b"ftyp", b"isom\0\0\2\0isommp41") + movie + box(b"mdat", bytes(500))
