"""What the desk asks others over the network: outgoing requests, sign-in providers, its own public address."""
