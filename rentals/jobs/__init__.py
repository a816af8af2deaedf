"""What workers do, one module a job. `rentals.tasks` lets Celery call them."""
