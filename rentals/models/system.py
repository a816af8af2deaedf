"""How the desk itself is doing: processes, recurring jobs, calls to the upstream, long work in the background."""

from enum import StrEnum

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from rentals.models.tokens import Token


class Heartbeat(models.Model):
    """The last sign of life of one of our processes. `worked_at`: when a worker last began a task, or beat last sent one."""

    class Kind(models.TextChoices):
        WORKER = "worker", _("worker")
        BEAT = "beat", _("beat")

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=120, unique=True)
    queues = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField()
    at = models.DateTimeField()
    worked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name


class JobName(StrEnum):
    """The recurring jobs whose last run is noted: the values of `JobRun.name`. `RECONCILE` reads ThueSim's history."""

    TICK = "tick"
    STATISTICS = "statistics"
    BALANCE = "balance"
    CATALOG = "catalog"
    RECONCILE = "settle"
    STORAGE = "storage"


class JobRun(models.Model):
    """The last run of a recurring job, one row per token if the job works on one. `name` is a `JobName`."""

    name = models.CharField(max_length=30)
    token = models.ForeignKey(Token, on_delete=models.CASCADE, null=True, blank=True, related_name="job_runs")
    at = models.DateTimeField(null=True, blank=True)  # last run, whatever came of it
    ok_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(_("error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(token=None), name="one_row_per_job"),
            models.UniqueConstraint(
                fields=["name", "token"], condition=Q(token__isnull=False), name="one_row_per_job_and_token"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MachineClock(models.Model):
    """The wall clock of one machine since it was booted: how far it is ahead of its monotonic one, in seconds.

    A step shows as a sudden change of that. Until `money_unclear_until` times from before it are compared with later ones.
    """

    boot = models.CharField(max_length=40, unique=True)
    offset = models.FloatField()
    stepped_at = models.DateTimeField(null=True, blank=True)
    money_unclear_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.boot


class Machine(models.Model):
    """A machine that runs the desk, as it started last: what its settings are, secrets by their fingerprints.

    `files` are the keys of the machines whose files it sees in the folder that they share.
    """

    key = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=80)
    roles = models.CharField(max_length=60)
    version = models.CharField(max_length=20)
    settings = models.JSONField(default=dict)
    files = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} ({self.roles})"


class PublicUrlCheck(models.Model):
    """The last check of `DESK_PUBLIC_URL`, one row: `url` is the address that was checked, `findings` what was wrong with it
    (`lib.network.public_url.Finding`). A worker that has begun it and died leaves `done_at` before `asked_at`."""

    asked_at = models.DateTimeField()
    begun_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    url = models.CharField(max_length=400, blank=True)
    findings = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.url


class UpstreamMinute(models.Model):
    """The calls of one minute to one endpoint with one token: how many, how many failed, how long they took."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=30)
    minute = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)
    faults = models.PositiveIntegerField(default=0)
    milliseconds = models.PositiveBigIntegerField(default=0)  # of all calls together
    slowest = models.PositiveIntegerField(default=0)  # milliseconds

    class Meta:
        verbose_name = _("minute of upstream calls")
        verbose_name_plural = _("minutes of upstream calls")
        constraints = [
            models.UniqueConstraint(fields=["minute", "token", "endpoint"], name="one_row_per_minute_and_endpoint")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.minute:%H:%M}"


class ContractDrift(models.Model):
    """A way in which the upstream's replies differ from its page, counted. `sample` shows shapes, nothing personal."""

    endpoint = models.CharField(_("endpoint"), max_length=30)
    form = models.CharField(_("difference"), max_length=200)
    sample = models.TextField(_("sample"), blank=True)
    count = models.PositiveBigIntegerField(_("times"), default=0)
    first_at = models.DateTimeField(_("first seen"))
    last_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("contract drift")
        verbose_name_plural = _("contract drift")
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "form"], name="one_row_per_difference")]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.form}"


class BackgroundJob(models.Model):
    """Long work for one person, who may leave the page and find it again.

    `waiting → running → done | failed`. Where the worker of a running job shows no sign of life for a while, another one
    takes the job up, so its work may be done twice. `wanted` is the query of an export. `language` is that of the page
    on which the job was started.
    """

    class Kind(models.TextChoices):
        EXPORT_CSV = "export_csv", _("export, CSV")
        EXPORT_XLSX = "export_xlsx", _("export, Excel")
        IMPORT = "import_history", _("import of a token's history")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting to start")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    kind = models.CharField(max_length=20, choices=Kind)
    person = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+", verbose_name=_("person"))
    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", verbose_name=_("team"))
    token = models.ForeignKey(Token, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    wanted = models.TextField(blank=True)
    language = models.CharField(max_length=10, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=30, blank=True)
    file = models.CharField(max_length=120, blank=True)  # inside the folder of exports
    run = models.CharField(max_length=32, blank=True)  # of the attempt: a stale worker notices that it lost the job
    created_at = models.DateTimeField(auto_now_add=True)
    alive_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The audit record of an export, which the codes in it are noted with.
    record = models.ForeignKey(
        "accounts.AuditRecord",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )

    class Meta:
        verbose_name = _("background job")
        verbose_name_plural = _("background jobs")
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(
                fields=["created_at"], condition=Q(state__in=["waiting", "running"]), name="background_job_open"
            ),
            models.Index(fields=["person", "-created_at"], name="background_job_person"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.kind}"

    @property
    def is_open(self) -> bool:
        return self.state in {self.State.WAITING, self.State.RUNNING}

    @property
    def percent(self) -> int | None:
        """How much is done, in percent; None where the total is not known yet."""
        return min(100, 100 * self.done // self.total) if self.total else None


class ExportedCode(models.Model):
    """Rentals whose codes were in an export in full: bit n of `codes` is that with the key `rental` + n. `record` is the
    export's audit record, which may end before it. See `rentals.exported_codes`."""

    rental = models.ForeignKey("rentals.Rental", on_delete=models.CASCADE, related_name="exported")
    record = models.ForeignKey(
        "accounts.AuditRecord", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    # Rows of the version before are about one rental.
    codes = models.BigIntegerField(default=1, db_default=1)

    class Meta:
        verbose_name = _("exported code")
        verbose_name_plural = _("exported codes")
        constraints = [models.UniqueConstraint(fields=["record", "rental"], name="one_row_per_exported_code")]
        # By the number that `exported_codes.SPAN` divides all the keys of a row to.
        indexes = [models.Index(models.F("rental") / 63, condition=models.Q(codes__gt=1), name="exported_several")]

    def __str__(self) -> str:
        return f"{self.record_id}: {self.rental_id}"
