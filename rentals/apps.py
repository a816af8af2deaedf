"""Rentals, tokens and money as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _


class RentalsConfig(AppConfig):
    name = "rentals"
    verbose_name = _("Rentals")

    def ready(self) -> None:
        from lib import planner_statistics
        from rentals import missing_refunds, sums, word_index

        for module in (sums, missing_refunds, word_index):
            pre_migrate.connect(module.before_migrations, sender=self, dispatch_uid=module.__name__)
            post_migrate.connect(module.after_migrations, sender=self, dispatch_uid=module.__name__)
        post_migrate.connect(planner_statistics.after_migrations, sender=self, dispatch_uid="planner statistics")
