"""Previews and remote pictures: what the user sets as a preview, and pictures from elsewhere, fetched only when asked.

checking    what may become a preview: a picture or video that is what it says, whole, and of a sane size
setting     set_preview, remove_preview: files beside the model, as an action that can be undone
fetching    fetch(url): the one way by which a picture from elsewhere comes in; never from an address of this network
kept        pictures fetched for the page, kept in the data folder up to a limit
remote      which pictures a LoRA's examples and description name
"""
