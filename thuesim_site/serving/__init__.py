"""Serving requests: connections, turns, refusals, files, and the pages on their threads."""
