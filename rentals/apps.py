from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _


class RentalsConfig(AppConfig):
    name = "rentals"
    verbose_name = _("Rentals")

    def ready(self) -> None:
        from rentals import sums

        pre_migrate.connect(sums.before_migrations, sender=self, dispatch_uid="sums")
        post_migrate.connect(sums.after_migrations, sender=self, dispatch_uid="sums")
