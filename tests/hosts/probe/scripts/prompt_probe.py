"""An extension for tests: tells which LoRAs the last generation really had in effect, and makes batches of several prompts.

Its script takes one argument: a JSON list of prompts, the images of one batch.
"""

import json
import math
import sys

import gradio as gr
from modules import script_callbacks, scripts, shared

LAST = {}


def loaded():
    """[{file, te, unet: [in, mid, out]}], in the host's order."""
    common = sys.modules.get("modules.lora.lora_common")
    if common is not None:  # SD.Next
        return [
            {"file": one.network_on_disk.filename, "te": one.te_multiplier, "unet": list(one.unet_multiplier)}
            for one in common.loaded_networks
        ]
    text = getattr(shared.sd_model, "current_lora_hash", "") or "[]"
    applied = eval(
        text, {"nan": math.nan, "inf": math.inf}
    )  # a list as Python writes it, which has no sign for these
    there = {one.network_on_disk.filename for one in sys.modules["networks"].loaded_networks}
    return [{"file": file, "te": te, "unet": [unet] * 3} for file, unet, te in applied if file in there]


class PromptProbe(scripts.Script):
    def title(self):
        return "Prompt probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox(value="", visible=False)]

    def before_process(self, p, prompts="", *args):
        LAST.clear()
        if prompts:
            p.prompt = json.loads(prompts)
            p.batch_size, p.n_iter = len(p.prompt), 1

    def after_extra_networks_activate(self, p, *args, **kwargs):
        self.note(p)

    def postprocess_batch(self, p, *args, **kwargs):
        self.note(p)

    def note(self, p):
        LAST.update(loras=loaded(), prompts=list(p.all_prompts), negatives=list(p.all_negative_prompts))


def app_started(demo, app):
    app.add_api_route("/prompt-probe/last", lambda: dict(LAST), methods=["GET"])


script_callbacks.on_app_started(app_started)
