"""Files: what all machines share, backups, tables to take away, and room on the disk."""
