"""The desk on several machines, each a network namespace of this one; see `bench.machines.__main__`."""
