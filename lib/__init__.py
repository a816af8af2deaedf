"""What knows neither a rental nor a person: it imports Django and libraries only, and every floor above uses it."""
