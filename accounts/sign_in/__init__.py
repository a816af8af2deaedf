"""How a person signs in: rate limits, passkeys, reset links, two-factor, sessions, the e-mail address."""
