"""A person's preferences: the form of a copied number, sound, notifications, the count in the title, shortcuts,
how the board is shown.

Kept with the person, so that it holds on any browser that they sign in on.
"""

from django.forms import modelform_factory
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.account_forms import PREFERENCES
from accounts.desk_request import DeskRequest, local_address
from accounts.models import CopyAs, User


@require_POST
def preferences(request: DeskRequest) -> HttpResponse:
    """Change the preferences that the form names, and no others: another browser may have changed those meanwhile.

    `copy_as` is one of `CopyAs`, the others are `true` or `false`.
    """
    named = [name for name in PREFERENCES if name in request.POST]
    form = modelform_factory(User, fields=named)(request.POST, instance=request.user)
    if not form.is_valid():
        return HttpResponseBadRequest()
    request.user.save(update_fields=named)
    if request.htmx:
        return render(request, "pages/_switches.html", {"copy_forms": CopyAs.choices, "oob": True})
    return redirect(local_address(request))
