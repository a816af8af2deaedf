"""Dates in the admin as on the desk's own pages: day first, 24 hours. Django's FORMAT_MODULE_PATH."""
