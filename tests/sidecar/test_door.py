"""Who may ask: token, cookie, Host, Origin, and no way out of the app's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from sidecar.app import make_app
from sidecar.security import load_token
from sidecar.state import State

TOKEN = "a-token-for-tests-only"
LOCAL = "http://127.0.0.1"


@pytest.fixture
def anyone(state: State) -> TestClient:
    return TestClient(make_app(state), base_url=LOCAL)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "lora_manager=x"},
    ],
)
def test_the_api_needs_the_token(anyone: TestClient, headers: dict[str, str]) -> None:
    answer = anyone.get("/api/v1/health", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert TOKEN not in answer.text


def test_a_session_cookie_opens_the_api_for_its_own_page_alone(anyone: TestClient) -> None:
    answer = anyone.post("/api/v1/session", headers={"Authorization": f"Bearer {TOKEN}"})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert anyone.get("/api/v1/health").status_code == 200
    assert anyone.post("/api/v1/library/scan").status_code == 403, "a cookie alone must not write"
    assert anyone.post("/api/v1/library/scan", headers={"Origin": LOCAL}).status_code == 202
    assert anyone.post("/api/v1/library/scan", headers={"Origin": "http://evil.example"}).status_code == 403
    assert anyone.get("/api/v1/health", headers={"Origin": "null"}).status_code == 403
    assert anyone.delete("/api/v1/session", headers={"Origin": LOCAL}).status_code == 200
    assert anyone.get("/api/v1/health").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "192.168.1.5:7861"])
def test_another_host_name_is_refused(anyone: TestClient, host: str) -> None:
    answer = anyone.get("/api/v1/health", headers={"Host": host, "Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost:7861", "127.0.0.1", "[::1]:7861", "LOCALHOST"])
def test_local_names_are_served(anyone: TestClient, host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    assert anyone.get("/api/v1/health", headers=headers).status_code == 200


def test_events_need_the_token_and_the_same_origin(anyone: TestClient) -> None:
    for headers in (
        {},
        {"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"},
        {"Cookie": f"lora_manager={TOKEN}"},
    ):
        with pytest.raises(WebSocketDisconnect), anyone.websocket_connect("/api/v1/events", headers=headers):
            pass


def test_the_app_is_served_without_a_token_under_a_strict_policy(anyone: TestClient) -> None:
    answer = anyone.get("/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/../settings.py", "/%2e%2e/settings.py", "/..%2fsettings.py", "//etc/passwd", "/%00"]
)
def test_no_file_outside_the_app_is_served(anyone: TestClient, path: str) -> None:
    assert anyone.get(path).status_code in (404, 400)


def test_unknown_addresses_and_methods_answer_in_the_envelope(api: TestClient) -> None:
    for answer, status in ((api.get("nothing"), 404), (api.delete("health"), 405)):
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "detail"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_token_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    token = load_token(tmp_path, None)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert load_token(tmp_path, None) == token
    assert len(token) > 30


def test_the_description_of_the_api_lists_what_there_is(api: TestClient) -> None:
    paths = api.get("openapi.json").json()["paths"]
    for path in ("health", "loras", "loras/{lora_id}", "prompts/compose", "generations", "library/scan"):
        assert f"/api/v1/{path}" in paths
