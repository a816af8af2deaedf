"""What one person may see of a rental, a team or a token, as values for templates."""
