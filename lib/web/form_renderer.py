"""How the fields of forms are drawn: Django's own widgets by Jinja2, in a fifth of the time that Django's templates take. A
select of all time zones has hundreds of options, and each of them includes two templates."""

from typing import Any

from django.forms.renderers import DjangoTemplates, Jinja2


class FormRenderer(DjangoTemplates):
    """For the setting `FORM_RENDERER`. The admin has its widgets for Django's templates alone."""

    def __init__(self) -> None:
        self._jinja = Jinja2()

    def get_template(self, template_name: str) -> Any:
        """Return the template of a widget, of a form or of its errors."""
        if template_name.startswith("django/forms/"):
            return self._jinja.get_template(template_name)
        return super().get_template(template_name)
