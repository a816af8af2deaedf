"""The "?" beside a term."""

from django import template

from pages.presenters import help as presenter

register = template.Library()


@register.inclusion_tag("pages/_explain.html")
def explain(name: str) -> dict[str, presenter.Term]:
    """Draw the "?" beside a term, one of `presenter.TERMS`, with its first two sentences and the way to the guide."""
    return {"term": presenter.term(name)}
