"""The processes of the roles, each with its command line: web, worker, slow, beat."""
