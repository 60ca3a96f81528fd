"""Backups: verified archives of everything that cannot be worked out again."""
