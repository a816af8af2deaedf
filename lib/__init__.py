"""What knows neither a rental nor a person: Django and libraries only, used by every floor above."""
