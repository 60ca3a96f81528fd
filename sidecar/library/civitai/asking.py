"""What a download needs to know beforehand, asked while somebody waits for the answer: within seconds, or an error."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from urllib.parse import urlsplit

from sidecar.library.civitai.choosing import Chosen, choose_file, read_address
from sidecar.library.civitai.client import Client, Unreachable
from sidecar.settings import Settings

ANSWER_SECONDS = 8.0


def choose_in_time(settings: Settings, version: int | str, file_id: int | None) -> Chosen:
    """The file of a version (its id, or an address of it) that is meant, asked of Civitai.

    Raises:
        Unreachable: no answer within `ANSWER_SECONDS`. CivitaiTrouble: there is no such version or file.
        BadRequest: the address is none.
    """
    stopped = threading.Event()
    answer: Future[Chosen] = Future()

    def ask() -> None:
        try:
            client = Client(settings, stopped, within=ANSWER_SECONDS)
            try:
                version_id = read_address(client, version) if isinstance(version, str) else version
                answer.set_result(choose_file(client, settings, version_id, file_id))
            finally:
                client.close()
        except Exception as error:  # the thread's outer edge: whoever waits gets it
            answer.set_exception(error)

    # A thread of its own: neither a name server nor an answer that comes byte by byte keeps to a socket's time limit.
    threading.Thread(target=ask, name="civitai-ask", daemon=True).start()
    try:
        return answer.result(ANSWER_SECONDS)
    except TooLate:
        stopped.set()
        place = urlsplit(settings.civitai_url).netloc
        raise Unreachable(f"{place} does not answer in time; try again later.") from None
