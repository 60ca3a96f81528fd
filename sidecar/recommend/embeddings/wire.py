"""Messages between the sidecar and its text model's process: a length of 4 bytes, then JSON or the bytes of numbers."""

from __future__ import annotations

import struct
from typing import IO, Any

import orjson

LENGTH = struct.Struct("<I")
MAX_FRAME = 256 * 1024 * 1024


class WireBroken(Exception):
    """The other side has gone, or speaks something else."""


def send(pipe: IO[bytes], *frames: bytes) -> None:
    """Write frames one behind the other.

    Raises:
        OSError: the other side has gone.
    """
    pipe.write(b"".join(part for frame in frames for part in (LENGTH.pack(len(frame)), frame)))
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """The next frame.

    Raises:
        WireBroken: there is none.
    """
    (length,) = LENGTH.unpack(_exactly(pipe, LENGTH.size))
    if length > MAX_FRAME:
        raise WireBroken(f"a message of {length:,} bytes is none of ours")
    return _exactly(pipe, length)


def receive_json(pipe: IO[bytes]) -> dict[str, Any]:
    """The next frame as a JSON object.

    Raises:
        WireBroken: there is none, or it holds something else.
    """
    try:
        content = orjson.loads(receive(pipe))
    except orjson.JSONDecodeError as error:
        raise WireBroken(f"a message is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise WireBroken("a message is no object")
    return content


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        try:
            part = pipe.read(count - len(found))
        except (OSError, ValueError) as error:  # closed
            raise WireBroken(str(error)) from error
        if not part:
            raise WireBroken("the other side has gone")
        found += part
    return bytes(found)
