"""The peer of `bench/history.py`: the rentals in a Django admin as it comes, with our addresses beside it."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from rentals.models import Rental
from thuesim_site.urls import urlpatterns as ours

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Rental]
else:  # takes no parameters at run time
    Admin = admin.ModelAdmin

site = admin.AdminSite(name="plain")


class RentalAdmin(Admin):
    """The columns, filters and search of our own admin's list, and as many rows as the history has on a page."""

    list_display = ("id", "queued_at", "status", "phone", "service", "network", "price", "team", "person", "token")
    list_filter = ("status", "imported", "team", "token")
    search_fields = ("phone",)
    list_select_related = ("service", "team", "person", "token")
    list_per_page = 50


site.register(Rental, RentalAdmin)
urlpatterns: list[URLPattern | URLResolver] = [path("plain-admin/", site.urls), *ours]
