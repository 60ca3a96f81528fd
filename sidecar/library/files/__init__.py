"""File operations: rename, move, delete, restore, organise; journaled, so that a crash loses nothing."""
