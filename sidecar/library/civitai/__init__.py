"""Civitai, on request only: look up by hash, check for updates, download."""
