"""The command line. Commands import what they need when they run, so that `serve` starts fast."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sidecar import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code (2: it cannot start, 3: the data folder is in use)."""
    options = make_parser().parse_args(arguments)
    from sidecar.errors import SidecarError, StartError

    try:
        return int(options.run(options) or 0)
    except StartError as error:
        print(f"lora-manager: {error}", file=sys.stderr)
        return error.exit_code
    except SidecarError as error:
        print(f"lora-manager: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(prog="python -m sidecar", description="LoRA Manager's sidecar.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the app and its API")
    _add_library_options(serve)
    serve.add_argument(
        "--port", type=int, help="port; 0 takes any free one (default: the first free one from 7861)"
    )
    serve.add_argument("--bind", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--host-url", help="address of the image host, as http://127.0.0.1:7860")
    serve.add_argument("--parent", type=int, metavar="PID", help="stop when this process has gone")
    serve.add_argument(
        "--watch-stdin", action="store_true", default=None, help="stop when standard input is closed"
    )
    serve.add_argument(
        "--open-browser", action="store_true", default=None, help="open the app in the browser"
    )
    serve.add_argument(
        "--demo", action="store_true", default=None, help="make a demo library when no folder is known"
    )
    serve.add_argument("--log-level", help="DEBUG, INFO, WARNING or ERROR")
    serve.set_defaults(run=_serve)

    scan = commands.add_parser("scan", help="bring the catalogue in line with the disk, then end")
    _add_library_options(scan)
    scan.set_defaults(run=_scan)

    search = commands.add_parser("search", help="search the catalogue and print what is found")
    search.add_argument("text", nargs="+")
    search.add_argument("--data", type=Path, metavar="DIR", help="data folder")
    search.add_argument("--limit", type=int, default=20)
    search.set_defaults(run=_search)

    backup = commands.add_parser("backup", help="take a backup, also while a sidecar serves the data folder")
    backup.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: the user's own)")
    backup.add_argument("--note", default="", help="what it is for")
    backup.set_defaults(run=_backup)

    restore = commands.add_parser("restore", help="put a backup into an empty data folder")
    restore.add_argument("archive", type=Path, help="the backup's .zip file")
    restore.add_argument("--data", type=Path, metavar="DIR", required=True, help="an empty data folder")
    restore.set_defaults(run=_restore)
    return parser


def _add_library_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: the user's own)")
    parser.add_argument(
        "--loras", type=Path, action="append", metavar="DIR", help="LoRA folder; may be given several times"
    )


def _given(options: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name != "run"}


def _serve(options: argparse.Namespace) -> None:
    from sidecar.serve import serve
    from sidecar.settings import load_settings

    serve(load_settings(**_given(options)))


def _scan(options: argparse.Namespace) -> None:
    from sidecar.serve import scan
    from sidecar.settings import load_settings

    scan(load_settings(**_given(options)))


def _search(options: argparse.Namespace) -> None:
    from sidecar.database import Database
    from sidecar.library.filters import Filter
    from sidecar.library.queries import Page, list_loras
    from sidecar.process import prepare_data_folder
    from sidecar.settings import load_settings

    settings = load_settings(data=options.data)
    prepare_data_folder(settings.data)
    database = Database(settings.data)
    try:
        found = list_loras(
            database, Filter(q=" ".join(options.text)), Page(limit=max(1, min(options.limit, 1000)))
        )
    finally:
        database.close()
    if found["corrected"]:
        print(f"Showing results for {found['corrected']}.")
    for item in found["items"]:
        print(
            f"<lora:{item['name']}:{item['weight'] or 1:g}>  {item['base_model']}  {', '.join(item['trigger_words'])}"
        )
    print(f"{found['total']} found.")


def _backup(options: argparse.Namespace) -> None:
    from sidecar.backup.shelf import MANUAL, make_backup
    from sidecar.settings import load_settings

    backup = make_backup(load_settings(data=options.data).data, MANUAL, options.note)
    print(backup.path)


def _restore(options: argparse.Namespace) -> None:
    from sidecar.backup.restoring import restore_archive

    folder = options.data.absolute()
    restored = restore_archive(options.archive, folder)
    print(f"{restored.counts.get('loras', 0):,} LoRAs with all that was said about them are in {folder}.")
    print(f"Look at them with: python -m sidecar serve --data {folder}")
