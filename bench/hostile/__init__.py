"""The desk misused by 200 connections at a time; see `bench.hostile.__main__`."""
