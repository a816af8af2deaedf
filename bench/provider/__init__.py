"""A true OpenID provider on this machine, Canaille, for tests and for a try by hand: `python -m bench.provider`."""
