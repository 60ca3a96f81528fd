"""The sidecar: library, prompts and history behind one HTTP API, in a process and virtual environment of its own."""

__version__ = "0.1.0"
