"""Redis: where it is, clients of it, and whether it takes messages."""
