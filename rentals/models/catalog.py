"""The upstream's catalog, mirrored: networks with their prefixes, services with their prices."""

import re
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from thuesim import limits
from thuesim.folding import without_accents

MAX_SEARCH_NAME_LENGTH = 160  # a few characters become several without their accents


def searchable(text: str) -> str:
    """Return `text` as `Service.search_name` holds it: lower-case, without accents, cut to its column."""
    return without_accents(text)[:MAX_SEARCH_NAME_LENGTH]


def in_order(search_name: str) -> str:
    """Return the text by which names are sorted as people count, 1, 2, 10: each number stands behind its length."""

    def with_length(number: re.Match[str]) -> str:
        digits = number[0].lstrip("0")
        return f"{len(digits):02}{digits}"

    return re.sub("[0-9]+", with_length, search_name)[:MAX_SEARCH_NAME_LENGTH]


def with_key(key: str) -> Q:
    """Return the condition that a service has this key, `SV.ID` or the bare `ID` of one without a server."""
    sv, _dot, upstream_id = key.rpartition(".")
    return Q(sv=sv, upstream_id=upstream_id)


class Network(models.Model):
    """A mobile network, as the upstream names it."""

    name = models.CharField(_("name"), max_length=limits.MAX_NETWORK_LENGTH, unique=True)
    upstream_id = models.CharField(_("ID"), max_length=limits.MAX_ID_LENGTH, blank=True)
    active = models.BooleanField(_("offered"), default=True)
    seen_at = models.DateTimeField(_("seen at"), null=True, blank=True)

    class Meta:
        verbose_name = _("network")
        verbose_name_plural = _("networks")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class Prefix(models.Model):
    """First digits of a network's numbers, without the leading 0: `"96"`. Numbers move between networks, so what a
    prefix tells is likely, not certain."""

    network = models.ForeignKey(Network, on_delete=models.CASCADE, related_name="prefixes", verbose_name=_("network"))
    digits = models.CharField(_("digits"), max_length=4, unique=True)

    class Meta:
        verbose_name = _("prefix")
        verbose_name_plural = _("prefixes")
        ordering = ["digits"]

    def __str__(self) -> str:
        return self.digits


class Service(models.Model):
    """Something that sends codes. Identified by the server it lives on and its id there (API page, section 2)."""

    sv = models.CharField("SV", max_length=limits.MAX_ID_LENGTH, blank=True)
    upstream_id = models.CharField("ID", max_length=limits.MAX_ID_LENGTH)
    name = models.CharField(_("name"), max_length=limits.MAX_NAME_LENGTH)
    search_name = models.CharField(max_length=MAX_SEARCH_NAME_LENGTH, editable=False)
    # See `in_order`. Written beside the name, so that the database sorts thousands, and the first hundred alone are fetched.
    sort_name = models.CharField(max_length=MAX_SEARCH_NAME_LENGTH, editable=False, db_default="")
    price = models.PositiveIntegerField(_("price, đồng"), null=True, blank=True)
    seconds = models.PositiveIntegerField(_("waiting time, seconds"), default=300)
    active = models.BooleanField(_("offered"), default=True)
    seen_at = models.DateTimeField(_("seen at"), null=True, blank=True)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ["search_name", "sv"]
        constraints = [models.UniqueConstraint(fields=["sv", "upstream_id"], name="one_service_per_server_and_id")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.sort_name = in_order(self.search_name)
        super().save(*args, **kwargs)

    @property
    def key(self) -> str:
        """`SV.ID`, or the bare `ID` where there is no server: what the upstream calls `serviceId`."""
        return f"{self.sv}.{self.upstream_id}" if self.sv else self.upstream_id

    def offered(self, *, sv: str = "") -> "Service":
        """Return the service to order in its place: itself while it is offered, else its twin, else itself.

        ThueSim lists its services with servers or without, so one may stand here twice, with `sv` and with none. A twin
        has the same ID and the same name; where several have, it is the one on the server `sv`.
        """
        if self.active:
            return self
        found = list(self._offered_twins())
        on_server = [twin for twin in found if twin.sv == sv]
        choice = on_server or found
        return choice[0] if len(choice) == 1 else self

    def offered_on_several_servers(self) -> bool:
        """Whether it has several offered twins, so that `offered` may not know which one is meant."""
        return self._offered_twins().count() > 1

    def _offered_twins(self) -> "models.QuerySet[Service]":
        twins = Service.objects.filter(upstream_id=self.upstream_id, active=True)
        if self.sv:
            twins = twins.filter(sv="")
        if self.name != self.upstream_id:  # else its name was never known
            twins = twins.filter(search_name=self.search_name)
        return twins


class ServicePrice(models.Model):
    """A price from `since` on, in đồng."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="prices", verbose_name=_("service"))
    price = models.PositiveIntegerField(_("price, đồng"))
    since = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["-since"]

    def __str__(self) -> str:
        return f"{self.price} ₫"


class StarredService(models.Model):
    """A service that a person wants to see first."""

    person = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+", verbose_name=_("person"))
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+", verbose_name=_("service"))

    class Meta:
        verbose_name = _("starred service")
        verbose_name_plural = _("starred services")
        constraints = [models.UniqueConstraint(fields=["person", "service"], name="one_star_per_person_and_service")]

    def __str__(self) -> str:
        return f"{self.person} ★ {self.service}"
