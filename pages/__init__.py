"""What a browser asks for: addresses, views, what they show, and the event stream."""
