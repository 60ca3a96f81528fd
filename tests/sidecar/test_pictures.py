"""Pictures from elsewhere: fetched only when asked, only from the internet, in time and in size; kept up to a limit."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from files_library import message
from lora_files import add_side_file, make_lora, picture
from picture_server import Handler, PictureServer, drips, film, gives, redirects, serving
from starlette.testclient import TestClient

from sidecar.errors import SidecarError
from sidecar.library.pictures import fetching
from sidecar.library.pictures.checking import TooLarge
from sidecar.library.pictures.fetching import AddressRefused, FetchFailed, Limits, fetch, is_public
from sidecar.library.pictures.kept import keep_picture
from sidecar.state import State

Scan = Callable[[], None]
PNG = picture()
SHORT = Limits(connect=0.5, idle=0.3, total=1.0)


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


def get(server: PictureServer, path: str, **options: Any) -> tuple[bytes, str]:
    return fetch(server.url + path, allowed_hosts={server.place}, **options)


def test_a_picture_is_fetched_without_cookies_or_referrer(server: PictureServer) -> None:
    server.answers["/a.png"] = gives(PNG, "text/plain")
    assert get(server, "/a.png?width=450#top") == (PNG, "image/png")
    path, headers = server.requests[0]
    assert path == "/a.png?width=450"
    assert headers["host"] == server.place
    assert not {"cookie", "referer", "authorization", "origin"} & headers.keys()


def test_proxies_of_the_environment_are_not_asked(
    server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.answers["/a.png"] = gives(PNG)
    assert get(server, "/a.png")[0] == PNG


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_refused_whatever_it_is_called(server: PictureServer, host: str) -> None:
    server.answers["/a.png"] = gives(PNG)
    with pytest.raises((AddressRefused, FetchFailed)) as refused:
        fetch(f"http://{host}:{server.server_port}/a.png")
    if host in ("127.0.0.1", "localhost"):
        assert refused.type is AddressRefused
    assert not server.requests


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("239.1.2.3", False), ("255.255.255.255", False), ("::", False),
        ("::1", False), ("fe80::1%eth0", False), ("fc00::1", False), ("fec0::1", False), ("ff0e::1", False),
        ("::ffff:10.0.0.1", False), ("::ffff:93.184.216.34", True), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::5db8:d822", True),
    ],
)  # fmt: skip
def test_which_addresses_are_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_to_this_network_is_refused(
    server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/a.png"] = gives(PNG)
    asked = names_stand_for(monkeypatch, {"pictures.example": ["93.184.216.34", "127.0.0.1"]})
    with pytest.raises(AddressRefused):
        fetch(f"http://pictures.example:{server.server_port}/a.png")
    assert (asked, server.requests) == (["pictures.example"], [])


def names_stand_for(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Let names have these addresses; returns the list of names that are asked for."""
    asked = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_the_address_that_was_checked_is_the_one_connected_to(
    server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something else the second time (DNS rebinding) is not asked a second time."""
    server.answers["/a.png"] = gives(PNG)
    asked = names_stand_for(monkeypatch, {"mirror.example": ["127.0.0.1"]})
    place = f"mirror.example:{server.server_port}"
    assert fetch(f"http://{place}/a.png", allowed_hosts={place})[0] == PNG
    assert asked == ["mirror.example"]
    assert server.requests[0][1]["host"] == place


def test_each_redirect_is_checked_again(server: PictureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/a.png"] = gives(PNG)
    server.answers["/there"] = redirects("/a.png")
    server.answers["/file"] = redirects("file:///etc/passwd")
    server.answers["/loop"] = redirects("/loop")
    server.answers["/name"] = redirects("http://router.example/a.png")
    assert get(server, "/there")[0] == PNG
    with serving() as other:
        server.answers["/inside"] = redirects(f"{other.url}/a.png")
        with pytest.raises(AddressRefused):
            get(server, "/inside")
        assert not other.requests
    with pytest.raises(AddressRefused):
        get(server, "/file")
    with pytest.raises(FetchFailed, match="redirects"):
        get(server, "/loop")
    names_stand_for(monkeypatch, {"127.0.0.1": ["127.0.0.1"], "router.example": ["192.168.0.1"]})
    with pytest.raises(AddressRefused):
        get(server, "/name")


@pytest.mark.parametrize(
    "url",
    [
        "", "a.png", "ftp://example.org/a.png", "file:///etc/passwd", "javascript:alert(1)", "http://",
        "http://user:secret@example.org/a.png", "http://[::1", "http://example.org:99999/", "data:image/png;base64,AAAA",
        "http://" + "a" * 300 + "/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        fetch(url)
    assert "secret" not in refused.value.message


def test_line_breaks_do_not_get_into_a_request(server: PictureServer) -> None:
    with pytest.raises(SidecarError):
        get(server, "/a.png\r\nX-More: 1")
    assert all("x-more" not in headers for _, headers in server.requests)


def test_too_large_is_refused_by_length_and_while_it_comes(server: PictureServer) -> None:
    server.answers["/told"] = gives(PNG + bytes(5_000))

    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (PNG, bytes(5_000), b""):
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    server.answers["/untold"] = chunked
    for path in ("/told", "/untold"):
        with pytest.raises(TooLarge):
            get(server, path, limit=3_000)
    assert get(server, "/untold")[0] == PNG + bytes(5_000)


def test_html_in_place_of_a_picture_is_told(server: PictureServer) -> None:
    server.answers["/a.png"] = gives(b"<!doctype html><p>Please log in", "text/html; charset=utf-8")
    server.answers["/b.png"] = gives(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
    server.answers["/c.png"] = gives(b"", "image/png")
    with pytest.raises(FetchFailed, match="text/html"):
        get(server, "/a.png")
    for path in ("/b.png", "/c.png"):
        with pytest.raises(FetchFailed, match="no picture"):
            get(server, path)


def test_errors_of_the_server_are_told(server: PictureServer) -> None:
    server.answers["/500"] = gives(b"oops", "text/plain", 500)
    server.answers["/cut"] = gives(PNG, length=len(PNG) + 100)
    server.answers["/short"] = gives(PNG[:10], length=100)
    server.answers["/noise"] = lambda handler: handler.wfile.write(b"no http\r\n\r\n") and None
    for path, told in (("/404", "404"), ("/500", "500"), ("/cut", "cut short"), ("/short", "cut short")):
        with pytest.raises(FetchFailed, match=told):
            get(server, path)
    with pytest.raises(FetchFailed):
        get(server, "/noise", limits=SHORT)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        drips(b""),
        drips(HEAD + b"X-Long: ", b"a"),
        drips(HEAD + b"Content-Length: 100000\r\n\r\n" + PNG),
        drips(HEAD + b"Content-Length: 100000\r\n\r\n" + PNG, b"\0"),
        drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + PNG, b"\0"),
    ],
    ids=["silent", "endless header", "stops", "a byte now and then", "a byte now and then, chunked"],
)
def test_slow_servers_are_left(server: PictureServer, answer: Any) -> None:
    server.answers["/a.png"] = answer
    with pytest.raises(FetchFailed, match="in time"):
        get(server, "/a.png", limits=SHORT)


def test_one_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(FetchFailed, match="cannot be reached"):
        fetch(f"http://127.0.0.1:{port}/", allowed_hosts={f"127.0.0.1:{port}"})
    with pytest.raises(FetchFailed, match="no server"):
        fetch("http://nowhere.invalid/a.png")


def test_certificates_are_checked_against_the_name_that_was_asked_for(
    tmp_path: Path, server: PictureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for the test")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-nodes", "-subj", "/CN=mirror.example", "-addext", "subjectAltName=DNS:mirror.example"]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *options],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answers["/a.png"] = gives(PNG)
    names_stand_for(monkeypatch, {"mirror.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    hosts = {f"{name}.example:{server.server_port}" for name in ("mirror", "other")}
    with pytest.raises(FetchFailed, match="certificate"):
        fetch(f"https://mirror.example:{server.server_port}/a.png", allowed_hosts=hosts)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(fetching, "_tls", lambda: trusting)
    assert fetch(f"https://mirror.example:{server.server_port}/a.png", allowed_hosts=hosts)[0] == PNG
    with pytest.raises(FetchFailed, match="certificate"):
        fetch(f"https://other.example:{server.server_port}/a.png", allowed_hosts=hosts)


def test_a_kept_picture_is_not_fetched_again(tmp_path: Path, server: PictureServer) -> None:
    server.answers["/a.png"] = gives(PNG)
    url = f"{server.url}/a.png"
    for _ in range(2):
        kept = keep_picture(tmp_path / "pictures", url, allowed_hosts={server.place})
        assert (kept.path.read_bytes(), kept.media_type) == (PNG, "image/png")
    assert kept.path.name == hashlib.sha256(url.encode()).hexdigest()
    assert len(server.requests) == 1


def test_the_oldest_give_way_when_there_are_too_many(tmp_path: Path, server: PictureServer) -> None:
    contents = {f"/{n}.png": PNG + bytes(n) for n in range(6)}
    paths = []
    for n, (path, content) in enumerate(contents.items()):
        server.answers[path] = gives(content)
        kept = keep_picture(tmp_path, server.url + path, allowed_hosts={server.place}, total=4 * len(PNG))
        if n < 5:
            os.utime(kept.path, (n, n))
        paths.append(kept.path)
    assert [path.exists() for path in paths] == [False, False, False, True, True, True]


def test_the_same_picture_asked_for_at_once_is_whole(tmp_path: Path, server: PictureServer) -> None:
    server.answers["/a.png"] = gives(PNG)
    found: list[bytes] = []

    def ask() -> None:
        kept = keep_picture(tmp_path, f"{server.url}/a.png", allowed_hosts={server.place})
        found.append(kept.path.read_bytes())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [PNG] * 6
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.fixture
def described(loras: Path, scan: Scan, api: TestClient, server: PictureServer) -> str:
    """The address of a LoRA with two examples, the second without picture, and a description with a picture."""
    images = [
        {"url": f"{server.url}/example.png", "meta": {"prompt": "one"}},
        {"meta": {"prompt": "two"}},
        {"url": f"{server.url}/film.mp4", "type": "video", "meta": {"prompt": "three"}},
    ]
    description = (
        f"<img src='/local.png'><img src='data:image/png;base64,AA'><img src='{server.url}/described.png'>"
    )
    info = {"id": 2, "modelId": 1, "images": images, "model": {"description": description}}
    add_side_file(make_lora(loras / "a.safetensors"), ".civitai.info", info)
    server.answers.update({"/example.png": gives(PNG), "/described.png": gives(PNG)})
    server.answers["/film.mp4"] = gives(film(), "video/mp4")
    scan()
    address = f"loras/{api.get('loras').json()['items'][0]['id']}"
    api.get(address)
    api.get(f"{address}/examples")
    return address


def test_nothing_is_fetched_unless_asked(described: str, server: PictureServer) -> None:
    assert not server.requests


def test_pictures_of_examples_and_descriptions_come_when_asked(
    described: str, api: TestClient, state: State, server: PictureServer
) -> None:
    state.settings.civitai_url = server.url
    assert api.get(described).json()["pictures"] == [f"{server.url}/described.png"]
    for path, content, kind in (
        ("examples/0/picture", PNG, "image/png"),
        ("examples/2/picture", film(), "video/mp4"),
        ("pictures/0", PNG, "image/png"),
    ):
        answer = api.get(f"{described}/{path}")
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        api.get(f"{described}/{path}")
    assert [path for path, _ in server.requests] == ["/example.png", "/film.mp4", "/described.png"]
    for path in (
        "examples/1/picture",
        "examples/9/picture",
        "examples/-1/picture",
        "pictures/1",
        "pictures/-1",
    ):
        assert message(api.get(f"{described}/{path}"), 404)
    assert api.get("loras/99/pictures/0").status_code == 404


def test_pictures_in_this_network_are_not_fetched(
    described: str, api: TestClient, server: PictureServer
) -> None:
    for path in ("examples/0/picture", "pictures/0"):
        answer = api.get(f"{described}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "address_refused")
    assert not server.requests
