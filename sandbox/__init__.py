"""A stand-in ThueSim upstream: for the first run, the tests and the benchmarks.

The server is pure standard library and shares no code with the client, so the two cannot share a mistake.
"""
