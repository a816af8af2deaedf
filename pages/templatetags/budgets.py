"""`{% limits_left access %}`: what is left of the budgets before an order."""

from django import template

from accounts.policy import Access
from rentals import budgets

register = template.Library()


@register.inclusion_tag("pages/_budgets.html")
def limits_left(access: Access) -> dict[str, budgets.Left]:
    """Show the limits of the person and their team, with warnings from 80 % on. Three queries at most."""
    return {"left": budgets.left_for(access)}
