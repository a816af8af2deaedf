"""`{% remaining_budgets access %}`: what of the budgets remains before an order."""

from django import template

from accounts.policy import Access
from rentals import budgets

register = template.Library()


@register.inclusion_tag("pages/_budgets.html")
def remaining_budgets(access: Access) -> dict[str, budgets.RemainingBudgets]:
    """Show what remains of the budgets of the person and their team, with warnings from 80 % on. Two queries at most."""
    return {"budgets": budgets.remaining_for(access)}
