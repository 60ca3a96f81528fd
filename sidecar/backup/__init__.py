"""Backups: verified archives of everything that cannot be worked out again.

`snapshot` copies the database while it is in use, `archive` packs a copy and reads it back, `restoring` puts one into an
empty data folder, `shelf` keeps the archives of a data folder. They know a data folder by its path alone, so that one
can be taken before the database is opened.
"""
