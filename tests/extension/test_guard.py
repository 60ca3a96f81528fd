"""Who may pass to the sidecar: by Origin always, by the host's login where it has one, by name where it has none."""

from __future__ import annotations

import base64
import types
from typing import Any

import pytest

from extension import guard

LOCAL = "127.0.0.1:7860"


def gradio_app(**members: Any) -> Any:
    return types.SimpleNamespace(**{"tokens": {}, "auth": None, "routes": [], **members})


def ask(
    app: Any = None, names: tuple[str, ...] = (), method: str = "GET", **headers: str
) -> guard.Refusal | None:
    headers = {"host": LOCAL, **headers}
    raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    return guard.check({"headers": raw, "method": method}, app or gradio_app(), names)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def status(refusal: guard.Refusal | None) -> int:
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    ("origin", "address", "expected"),
    [
        ("http://127.0.0.1:7860", LOCAL, 200),
        ("http://127.0.0.1:7861", LOCAL, 403),
        ("http://localhost:7860", LOCAL, 403),
        ("http://evil.example", LOCAL, 403),
        ("null", LOCAL, 403),
        ("", LOCAL, 403),
        ("file://", LOCAL, 403),
        ("http://127.0.0.1:99999999", LOCAL, 403),
        ("https://localhost", "localhost", 200),
        ("https://localhost:443", "localhost", 200),
        ("https://localhost", "localhost:443", 200),
        ("http://[::1]:7860", "[::1]:7860", 200),
    ],
)
def test_an_origin_must_name_the_very_address_that_is_asked(
    fake_host: Any, origin: str, address: str, expected: int
) -> None:
    assert status(ask(origin=origin, host=address)) == expected


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_from_another_site_is_refused_even_without_an_origin(fake_host: Any, site: str) -> None:
    assert status(ask(sec_fetch_site=site)) == 403
    assert status(ask(sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="iframe")) == 403
    assert (
        status(ask(method="POST", sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="document"))
        == 403
    )


def test_a_link_that_somebody_follows_opens_the_page(fake_host: Any) -> None:
    assert ask(sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document") is None


def test_an_origin_is_refused_also_with_a_login(fake_host: Any) -> None:
    app = gradio_app(auth={"ann": "secret"})
    assert status(ask(app, authorization=basic("ann", "secret"), origin="http://evil.example")) == 403


def test_a_forwarded_host_is_not_believed(fake_host: Any) -> None:
    assert status(ask(origin="http://evil.example", x_forwarded_host="evil.example")) == 403


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "[::1]:7860", "192.168.1.20:7860", "localhost", "gpu-box:7860", "gpu.local"]
)
def test_without_a_login_names_of_this_machine_pass(fake_host: Any, name: str) -> None:
    assert ask(host=name) is None


@pytest.mark.parametrize("name", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", ""])
def test_without_a_login_a_rebound_name_is_refused(fake_host: Any, name: str) -> None:
    assert status(ask(host=name, origin=f"http://{name}" if name else "null")) in (403, 421)
    assert status(ask(host=name)) == 421


def test_a_name_from_the_settings_or_the_command_line_passes(fake_host: Any) -> None:
    assert ask(names=("lora.example.org",), host="lora.example.org") is None
    assert (
        ask(names=("https://lora.example.org/",), host="inner:1", origin="https://lora.example.org") is None
    )
    fake_host.cmd_opts.cors_allow_origins = "https://pod.example.net"
    assert ask(host="pod.example.net") is None


@pytest.mark.parametrize(
    "cookie", ["access-token", "access-token-unsecure", "access-token-kX3", "access-token-unsecure-kX3"]
)
def test_a_login_cookie_of_either_gradio_passes(fake_host: Any, cookie: str) -> None:
    app = gradio_app(auth={"ann": "secret"}, tokens={"t0ken": "ann"})
    assert ask(app, cookie=f"theme=dark; {cookie}=t0ken; other=1") is None
    assert status(ask(app, cookie=f"{cookie}=wrong")) == 401
    assert status(ask(app)) == 401


def test_a_login_of_an_app_mounted_below_counts(fake_host: Any) -> None:
    below = gradio_app(auth={"ann": "secret"}, tokens={"t0ken": "ann"})
    app = gradio_app(auth={"ann": "secret"}, routes=[types.SimpleNamespace(app=below)])
    assert ask(app, cookie="access-token=t0ken") is None


def test_sdnext_takes_basic_with_the_password_or_the_login_token(fake_host: Any) -> None:
    fake_host.shared.api = types.SimpleNamespace(credentials={"ann": "secret"})
    app = gradio_app(auth={"ann": "secret"}, tokens={"t0ken": "ann"})
    assert ask(app, authorization=basic("ann", "secret")) is None
    assert ask(app, authorization=basic("ann", "t0ken")) is None
    for user, password in [("ann", "wrong"), ("bob", "secret"), ("bob", "t0ken"), ("bob", ""), ("", "")]:
        assert status(ask(app, authorization=basic(user, password))) == 401


def test_the_a1111_line_takes_basic_of_api_auth_even_when_its_page_is_open(fake_host: Any) -> None:
    fake_host.cmd_opts.api_auth = "ann:se:cret,bob:b"
    assert ask(authorization=basic("ann", "se:cret")) is None
    refusal = ask()
    assert refusal is not None and refusal.status == 401 and "WWW-Authenticate" in refusal.headers


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /w==", "Bearer x", "Basic " + "QQ=="])
def test_broken_credentials_are_a_401_not_an_error(fake_host: Any, header: str) -> None:
    assert status(ask(gradio_app(auth={"ann": "secret"}), authorization=header)) == 401


def test_a_script_gets_no_password_box(fake_host: Any) -> None:
    refusal = ask(gradio_app(auth={"ann": "secret"}), sec_fetch_mode="cors", sec_fetch_site="same-origin")
    assert refusal is not None and refusal.status == 401 and not refusal.headers


def test_with_a_login_any_name_will_do(fake_host: Any) -> None:
    app = gradio_app(auth={"ann": "secret"}, tokens={"t0ken": "ann"})
    assert ask(app, host="pod.example.net", cookie="access-token=t0ken") is None
