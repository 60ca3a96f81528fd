"""LoRAs compared by their weights: sketches of whole files, likeness by them, interference within a set."""
