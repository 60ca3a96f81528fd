"""Lint: what will go wrong with a prompt on a host, said before the image is made, each with its place and a way to mend it."""
