"""Prompts out of pictures: what image programs write into their files, brought to one form and matched with the library."""
