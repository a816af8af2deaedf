"""Questions to the database that several pages and jobs ask: filters, search, the queue."""
