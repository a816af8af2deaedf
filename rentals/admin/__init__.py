"""The Django admin for what the desk keeps. The product alone writes rentals and money: here they can be read.

Importing the package registers the pages, one module for each module of `rentals.models`.
"""

from rentals.admin import callbacks, catalog, money, rentals, system, tokens

__all__ = ["callbacks", "catalog", "money", "rentals", "system", "tokens"]
