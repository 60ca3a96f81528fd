"""What texts mean, as a text model sees it: the model, the process that holds it, and vectors of all known texts."""
