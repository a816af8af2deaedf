"""Speaking to the upstream for a token: its client, pacing, circuit breaker, checks and statistics."""
