"""The inside of the simulated host. Extensions import from `modules` only."""
