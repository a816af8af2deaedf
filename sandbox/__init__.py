"""A stand-in for the ThueSim service, for the first run, the tests and the benchmarks.

The server uses the standard library only and shares no code with the client, so the two cannot share a mistake.
"""
