"""The map of the library: every LoRA a point, those that are alike beside each other."""
