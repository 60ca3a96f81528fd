"""Which LoRA fits: a prompt, another LoRA, a set; and why."""
