"""The API for programs, under `/api/v1/`: the same orders, limits and rights as the pages, as JSON. See `docs/api.md`."""

PREFIX = "/api/"
