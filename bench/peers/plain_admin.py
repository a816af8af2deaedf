"""The peer of `bench/history.py`: the rentals in a Django admin as it comes, with our addresses beside it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from rentals.models import Rental
from thuesim_site.urls import urlpatterns as ours

site = admin.AdminSite(name="plain")


class RentalAdmin(admin.ModelAdmin[Rental]):
    """The columns, filters and search of our own admin's list, and as many rows as the history has on a page."""

    list_display = ("id", "queued_at", "status", "phone", "service", "network", "price", "team", "person", "token")
    list_filter = ("status", "imported", "team", "token")
    search_fields = ("phone",)
    list_select_related = ("service", "team", "person", "token")
    list_per_page = 50


site.register(Rental, RentalAdmin)
urlpatterns: list[URLPattern | URLResolver] = [path("plain-admin/", site.urls), *ours]
