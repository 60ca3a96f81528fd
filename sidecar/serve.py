"""`python -m sidecar serve`: starts the parts in the order that shows the first LoRAs soonest, and stops them cleanly."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import threading
import time
import webbrowser
from contextlib import ExitStack
from types import FrameType

from sidecar.database import Database
from sidecar.errors import StartError
from sidecar.events import Events
from sidecar.library import folders
from sidecar.library.files.recovery import recover
from sidecar.library.scanning import Scanner
from sidecar.library.service import Library
from sidecar.process import data_folder_lock, follow_parent, prepare_data_folder, write_info
from sidecar.recommend.service import Recommender
from sidecar.security import load_token
from sidecar.settings import DEFAULT_PORT, Settings
from sidecar.state import State
from sidecar.tasks import Tasks

log = logging.getLogger("lora-manager")

PORTS_TRIED = 20


def serve(settings: Settings) -> None:
    """Run until told to stop.

    Raises:
        StartError: see its message.
    """
    sys.setswitchinterval(
        0.0005
    )  # seconds; a request waits that long, not 5 ms, whenever the background computes
    gc.disable()  # until it serves: what is imported now stays, and looking it over again and again takes its time
    _start_log(settings.log_level)
    prepare_data_folder(settings.data)
    with ExitStack() as stack:
        stack.enter_context(data_folder_lock(settings.data))
        sock = _listen(settings)
        stack.callback(sock.close)
        token = load_token(settings.data, settings.token)
        database = Database(settings.data)
        stack.callback(database.close)
        _take_up_folders(database, settings)
        events = Events()
        library = Library(database, events, settings, watch=settings.watch_files)
        stack.callback(library.stop)
        tasks = Tasks(events)
        stack.callback(tasks.stop)
        library.start()  # before the web framework is imported: reading the first files overlaps with that
        recommender = Recommender(
            database,
            events,
            settings.data,
            lambda: not library.scanner.idle.is_set(),
            settings,
            library.is_reading,
        )
        stack.callback(recommender.stop)
        recommender.start()
        state = State(settings, token, database, events, library, tasks, recommender)
        _look_after_files(stack, state)
        _serve_http(sock, state)


def scan(settings: Settings) -> None:
    """Scan and index once, without serving.

    Raises:
        StartError: see its message.
    """
    _start_log(settings.log_level)
    prepare_data_folder(settings.data)
    with ExitStack() as stack:
        stack.enter_context(data_folder_lock(settings.data))
        database = Database(settings.data)
        stack.callback(database.close)
        _take_up_folders(database, settings)
        recover(database)
        scanner = Scanner(database, Events())
        stack.callback(scanner.stop)
        scanner.request()
        scanner.start()
        scanner.idle.wait()


def _look_after_files(stack: ExitStack, state: State) -> None:
    from sidecar.library.files.keeper import Keeper

    keeper = Keeper(state)
    stack.callback(keeper.stop)
    keeper.start()
    if state.settings.host_url and state.settings.parent is None:  # in a host, the extension listens
        from sidecar.library.files.refresh import HostRefresh

        refresh = HostRefresh(state.events, state.settings.host_url)
        stack.callback(refresh.stop)
        refresh.start()


def _serve_http(sock: socket.socket, state: State) -> None:
    import uvicorn

    from sidecar.app import make_app

    config = uvicorn.Config(
        make_app(state),
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=2,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # In a thread, since the interrupted code may be holding the lock that is needed.
            threading.Thread(target=state.events.close, name="events-close").start()
            super().handle_exit(sig, frame)

    server = Server(config)

    def stop() -> None:
        state.events.close()
        server.should_exit = True

    settings = state.settings
    follow_parent(settings.parent, settings.watch_stdin, stop)
    port = sock.getsockname()[1]
    host = "127.0.0.1" if settings.bind in ("0.0.0.0", "::") else settings.bind
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    announce = threading.Thread(
        target=_announce, args=(server, state, url, port), name="announce", daemon=True
    )
    announce.start()
    # uvicorn raises the signal again after its clean stop; by then there is nothing left to do but to leave.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[sock])
    log.info("Stopped.")


def _announce(server: object, state: State, url: str, port: int) -> None:
    """Once requests are answered: write sidecar.json, tell a person the address, open the browser."""
    while not getattr(server, "started", False):
        if getattr(server, "should_exit", False):
            return
        time.sleep(0.005)
    gc.freeze()
    gc.enable()
    write_info(state.settings.data, url, port)
    log.info("LoRA Manager serves %s (data in %s)", url, state.settings.data)
    if sys.stdout.isatty() or state.settings.open_browser:
        print(f"Open {url}/#token={state.token}", flush=True)
    if state.settings.open_browser:
        webbrowser.open(f"{url}/#token={state.token}")


def _listen(settings: Settings) -> socket.socket:
    """Bind the port: the one that was asked for, or from 7861 on the first that is free.

    Raises:
        StartError: it is taken, or the address is not this machine's.
    """
    ports = [settings.port] if settings.port is not None else range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        sock = socket.socket(
            family, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # asyncio sends at once only if it says TCP
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.bind, port))
            sock.listen(128)
            return sock
        except OSError as error:
            sock.close()
            problem = error
    tried = f"{ports[0]}" if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"
    raise StartError(
        f"Port {tried} on {settings.bind} cannot be used ({problem and problem.strerror}); choose another with --port."
    )


def _take_up_folders(database: Database, settings: Settings) -> None:
    """The folders of this run; without any, those of the run before, or the demo library when asked for."""
    paths = [path.absolute() for path in settings.loras]
    if not paths and settings.demo and not folders.active_roots(database):
        from sidecar.demo import make_demo_library

        paths = [make_demo_library(settings.data / "demo-loras")]
    if paths:
        folders.activate(database, paths, only=True)


def _start_log(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("lora-manager").setLevel(level)
