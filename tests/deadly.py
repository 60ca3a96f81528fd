"""A reader that dies on one file, as a fault in a parser would have it."""

from __future__ import annotations

import os

from sidecar.library import record
from sidecar.library.sources import FileJob


def read_lora(job: FileJob) -> record.Record:
    """Read a LoRA, or end the process without a word."""
    if job.name == "deadly.safetensors":
        os._exit(1)
    return record.read_lora(job)
