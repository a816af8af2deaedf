"""Pages of a person's own: the account, the preferences, the language, the team they work in, the tour."""
