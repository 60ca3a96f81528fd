"""What the tensors say: inspection, fingerprints, duplicates."""
