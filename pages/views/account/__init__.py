"""One's own account: its page, the preferences, the language, the team one works in, the tour."""
