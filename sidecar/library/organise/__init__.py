"""What the user makes of the library: edits in bulk, tags, collections, and the list of actions that can be undone."""
