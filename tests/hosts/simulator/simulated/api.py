"""The few API addresses that the suite and the extension use, behind the login that each line gives them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from secrets import compare_digest
from typing import Any

from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from modules import shared
from modules.cmd_args import FLAVOUR

from simulated import jobs, networks
from simulated.scripts_runner import Runner


class Api:
    """`credentials` is where SDNext keeps its pairs; the A1111 line reads --api-auth."""

    def __init__(self, app: FastAPI, runner: Runner) -> None:
        self.app, self.runner = app, runner
        named = shared.cmd_opts.auth if FLAVOUR == "sdnext" else shared.cmd_opts.api_auth
        pairs: Any = (pair.strip().split(":", 1) for pair in (named or "").split(",") if pair)
        self.credentials = dict(pairs)

    def add_api_route(self, path: str, fn: Callable[..., Any], auth: bool = True, **options: Any) -> None:
        """On SDNext this also serves the address below a sub-path that comes from the settings (not from --subpath)."""
        if auth and self.credentials:
            options["dependencies"] = [Depends(self.auth)]
        if FLAVOUR == "sdnext" and shared.opts.data.get("subpath"):
            self.app.add_api_route(f"{shared.opts.subpath}{path}", fn, **options)
        self.app.add_api_route(path, fn, **options)

    def auth(self, given: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:
        wanted = self.credentials.get(given.username)
        as_token = FLAVOUR == "sdnext" and given.password in self.app.tokens
        if wanted is None or not (compare_digest(given.password, wanted) or as_token):
            raise HTTPException(401, "Unauthorized", {"WWW-Authenticate": "Basic"})

    def register(self) -> None:
        self.add_api_route("/sdapi/v1/txt2img", self.txt2img, methods=["POST"])
        self.add_api_route("/sdapi/v1/img2img", self.img2img, methods=["POST"])
        self.add_api_route("/sdapi/v1/interrupt", shared.state.interrupt, methods=["POST"])
        self.add_api_route("/sdapi/v1/progress", self.progress, methods=["GET"])
        self.add_api_route("/sdapi/v1/options", lambda: shared.opts.data, methods=["GET"])
        self.add_api_route("/sdapi/v1/options", self.set_options, methods=["POST"])
        self.add_api_route("/sdapi/v1/loras", self.loras, methods=["GET"])
        self.add_api_route("/sdapi/v1/refresh-loras", networks.list_available, methods=["POST"])

    def txt2img(self, request: dict[str, Any] = Body(...)) -> dict[str, Any]:
        return self._generate("txt2img", request)

    def img2img(self, request: dict[str, Any] = Body(...)) -> dict[str, Any]:
        """As txt2img: what the images to begin with look like is of no account here."""
        if not request.get("init_images"):
            raise HTTPException(404, "Init image not found")
        return self._generate("img2img", request)

    def _generate(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        known = ("prompt", "negative_prompt", "steps", "width", "height", "seed", "cfg_scale", "sampler_name")
        known += ("n_iter", "batch_size", "enable_hr", "hr_prompt", "hr_negative_prompt")
        values = {key: request[key] for key in known if key in request}
        values["do_not_save_samples"] = not request.get("save_images", False)
        done = jobs.generate(kind, self.runner, self.runner.defaults(), **values)
        info = json.dumps({"prompt": request.get("prompt", ""), "infotexts": done.infotexts, **done.told})
        return {"images": [_encoded(image) for image in done.images], "parameters": request, "info": info}

    def progress(self) -> dict[str, Any]:
        job = shared.state.job
        return {"progress": 0.0, "state": {"job": job, "sampling_step": shared.state.sampling_step}}

    def set_options(self, request: dict[str, Any] = Body(...)) -> None:
        for key, value in request.items():
            shared.opts.set(key, value)
        shared.opts.save()

    def loras(self) -> list[dict[str, str]]:
        return [{"name": each.name, "path": each.filename} for each in networks.available.values()]


def _encoded(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
