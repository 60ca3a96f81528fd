"""What happens to a prompt before the host sees it."""
