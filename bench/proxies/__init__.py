"""The desk behind each proxy of `docs/proxies`; see `bench.proxies.__main__`."""
