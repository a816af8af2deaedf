"""What the desk is compared with: other ways to stream, a plain admin, the smallest site."""
