"""The catalogue: every LoRA file found, read, identified and searchable."""
