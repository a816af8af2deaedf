"""Pages of the Django admin that show a code: opening one is recorded as a reveal."""

from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from accounts import audit
from accounts.admin import ReadOnlyAdmin
from accounts.admin.base import person_of
from rentals.models import Rental


class CodeOnPage(ReadOnlyAdmin):
    """Rows whose page shows a code: opening it is recorded as a reveal, but for a rental of the admin's own."""

    def rental_of(self, row: Any) -> Rental | None:
        """Return the rental that the code belongs to; None if it is unknown."""
        rental: Rental | None = row.rental
        return rental

    def shows_code(self, row: Any) -> bool:
        return True

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and self.shows_code(obj):
            self._record_reveal(request, obj, self.rental_of(obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _record_reveal(self, request: HttpRequest, row: Model, rental: Rental | None) -> None:
        person = person_of(request)
        if rental is None or person is None or rental.person_id != person.pk:
            audit.record(
                audit.Action.REVEAL,
                person=person,
                team=rental.team if rental else None,
                target=audit.about(rental or row),
                request=request,
                detail={"in": "admin"},
            )
