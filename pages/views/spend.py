"""What the team spent, and what managers book by hand."""

from functools import lru_cache
from io import BytesIO
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, one_time_keys
from accounts.desk_request import DeskRequest
from accounts.models import User
from lib import charts
from lib.web.query_params import whole_number
from pages.forms import AnswerForm, EntryForm, TakeBackForm
from pages.presenters.spend import (
    Period,
    Spending,
    booked,
    headings,
    questions,
    rows,
    spending,
    spending_of,
    tokens_of,
    usual_periods,
)
from pages.views.exports import CONTENT_TYPES
from rentals import bookkeeping
from rentals.jobs import exports
from rentals.models import LedgerEntry


@require_safe
@never_cache
@gzip_page
def spend(request: DeskRequest) -> HttpResponse:
    """Show what was spent in a period: `?since=` and `?until=` are days, both included. `?person=`: of one person."""
    _check(request)
    return _page(request)


@require_POST
@never_cache
def spend_export(request: DeskRequest) -> HttpResponse:
    """Send the tables of the period in the address as an Excel file. A POST, since it is recorded."""
    _check(request)
    if not request.access.may_export:
        raise PermissionDenied(_("Only a manager may export. Ask a manager of your team."))
    period = Period.from_query(request.GET)
    person = _person(request)
    detail = {"kind": "xlsx", "asked": f"{period.query}{_query(person)}", "table": "spend"}
    audit.record(
        audit.Action.EXPORT,
        person=request.user,
        team=request.access.team,
        target=audit.ALL_RENTALS,
        request=request,
        detail=detail,
    )
    file = BytesIO()
    table = rows(_spending(request, period, person, ranks_all=True))
    exports.write_xlsx(table, file, title=_("Spend"), columns=headings())
    name = f"spend-{period.since:%Y-%m-%d}-{period.until:%Y-%m-%d}.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(file.getvalue(), content_type=CONTENT_TYPES["xlsx"], headers=headers)


@require_POST
@never_cache
def spend_answer(request: DeskRequest, pk: int) -> HttpResponse:
    """Book what the money of an open question was."""
    _check(request)
    question = get_object_or_404(bookkeeping.open_questions(request.access), pk=pk)
    form = AnswerForm(request.POST, question=question, access=request.access)
    if form.is_valid():
        try:
            bookkeeping.answer(question, access=request.access, person=request.user, **form.cleaned_data)
        except bookkeeping.NotBooked as refused:
            messages.error(request, str(refused.sentence))
        else:
            messages.success(request, _("The answer is booked."))
    else:
        messages.error(request, _first_error(form))
    return redirect("spend")


@require_POST
@never_cache
def spend_enter(request: DeskRequest) -> HttpResponse:
    """Book a top-up or a correction."""
    _check(request)
    form = EntryForm(request.POST, tokens=tokens_of(request.access).items())
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        key = one_time_keys.key_of(request)
        bookkeeping.enter(access=request.access, person=request.user, key=key, **form.cleaned_data)
    except bookkeeping.NotBooked as refused:
        form.add_error(None, str(refused.sentence))
        return _page(request, form, status=422)
    messages.success(request, _("It is booked."))
    return redirect("spend")


@require_POST
@never_cache
def spend_take_back(request: DeskRequest, pk: int) -> HttpResponse:
    """Take back a line that was booked by mistake."""
    _check(request)
    entry = get_object_or_404(bookkeeping.lines(request.access), pk=pk)
    form = TakeBackForm(request.POST)
    if form.is_valid():
        try:
            bookkeeping.take_back(entry, access=request.access, person=request.user, **form.cleaned_data)
        except bookkeeping.NotBooked as refused:
            messages.error(request, str(refused.sentence))
        else:
            messages.success(request, _("The line is taken back. What it explained is asked again."))
    else:
        messages.error(request, _first_error(form))
    return redirect("spend")


def _check(request: DeskRequest) -> None:
    if not request.access.manages:
        raise PermissionDenied(_("Only a manager sees what the team spent. Ask a manager of your team."))


def _person(request: DeskRequest) -> User | None:
    """Return the member of the team whose orders alone are asked for. Raises `Http404` for anybody else."""
    number = whole_number(request.GET.get("person"))
    if number is None:
        return None
    return get_object_or_404(User, pk=number, memberships__team=request.access.team_id)


def _query(person: User | None) -> str:
    return f"&person={person.pk}" if person else ""


def _spending(request: DeskRequest, period: Period, person: User | None, *, ranks_all: bool = False) -> Spending:
    if person:
        return spending_of(person, request.access, period)
    return spending(request.access, period, ranks_all=ranks_all)


@lru_cache(maxsize=100)
def _unsent_fields(tokens: tuple[tuple[int, str], ...], language: str) -> SafeString:
    """Return the fields of an entry that nobody has sent, in the active language, `language`: a tenth of the page's time."""
    return _fields(EntryForm(tokens=tokens))


def _fields(form: EntryForm) -> SafeString:
    return render_to_string("pages/_entry_fields.html", {"form": form})


def _page(request: DeskRequest, form: EntryForm | None = None, *, status: int = 200) -> HttpResponse:
    """Show the page, with the errors of `form` where one was sent."""
    period = Period.from_query(request.GET)
    person = _person(request)
    spent = _spending(request, period, person)
    context = {
        "person": person,
        "person_query": _query(person),
        "period": period,
        "usual": usual_periods(),
        "spending": spent,
        "chart": charts.bar_chart([(day.label, day.charged, day.spent) for day in spent.days]),
        "days": [day for day in reversed(spent.days) if day.rentals],
        "questions": questions(request.access),
        "booked": booked(request.access, period, spent.tokens),
        "kinds": {kind: capfirst(kind.label) for kind in LedgerEntry.Kind},
        "form": form,
        "fields": _fields(form) if form else _unsent_fields(tuple(spent.tokens.items()), get_language() or ""),
    }
    return render(request, "pages/spend.html", context, status=status)


def _first_error(form: Any) -> str:
    return str(next(iter(form.errors.values()))[0])
