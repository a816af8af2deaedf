"""What answers a request: ASGI, addresses, queries, forms and templates."""
