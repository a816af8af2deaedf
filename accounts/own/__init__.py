"""What people change of their own account: name, language, preferences, sessions."""
