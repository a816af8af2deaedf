"""What keeps the desk itself in order: heartbeats, a clock that was set, retention, shared files, the public address."""
