"""Sets: named lists of LoRAs with weights, words and text, used in a prompt as `<set:NAME>`."""
