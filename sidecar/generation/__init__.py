"""The history of generations that the hosts record."""
