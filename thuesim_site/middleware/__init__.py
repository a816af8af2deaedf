"""Middleware of the whole site: what it refuses, and the headers that it adds."""
