"""Where the A1111 line keeps the parsed command line; SDNext has no such module."""

from modules.shared import cmd_opts, parser

__all__ = ["cmd_opts", "parser"]
