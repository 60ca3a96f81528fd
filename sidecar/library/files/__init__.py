"""File operations: rename, move, delete, restore, organise; journaled, so that a crash loses nothing.

A LoRA's files are its model and every side file of its stem; they go together or not at all. What a caller may use:

operations
    rename_lora(state, lora_id, name) -> Outcome
    move_loras(state, ids, folder, *, action=None, task=None) -> Outcome     folder as the API names it: "Label/sub"
    delete_loras(state, ids, *, action=None, task=None) -> Outcome           into the trash
    change_side_files(state, lora_id, *, summary, remove=(), add={}, copy={}, action=None) -> int
        One LoRA's side files, all or none: `remove` (names of its side files) go to the trash, then `add` moves and
        `copy` copies files from elsewhere ({new name: path they are at}) beside the model. A name that is also in
        `remove` may be given anew. Names are the LoRA's stem and an ending that belongs to it. What is in `add` should
        lie on the same device (a hidden temporary in the LoRA's folder is best); on failure it is left where it was.
        Returns the action's id. Undo brings the removed files back and puts the added ones into the trash.
        Raises Conflict (with the reason; then nothing has changed) or NotFound.
trash
    list_trash(database, …), restore_loras(state, trash_ids) -> Outcome; purging: empty_trash(database, trash_ids or None)
undo
    undo_files(state, action) -> {"undone": n, "failed": [{"id", "name", "reason"}]}

`Outcome` has `action` (an id, None when nothing was done) and `items`: one (id, source, target, state, reason) a LoRA, state
"done", "same" (it is there already), "conflict" (refused, nothing tried) or "failed". What is refused raises nothing.

`action`: pass the id of an action that the caller began (`organise.actions.begin(connection, "files", …)`) to make the
operation a part of it; without it each call begins one of its own. Every call tells pages and hosts (`files.changed`).

Inside: `names` and `filesets` decide what may be done and to which files, `journal` writes the plan before the first step
on disk and the outcome after the last, `steps` does them, `recovery` finishes or takes back what a crash left half done.
"""
