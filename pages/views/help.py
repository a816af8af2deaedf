"""The help: the guides of `docs/guides`, and a search in them. Visitors read them too, before they can sign in."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from pages.presenters import help as presenter

MAX_QUERY = 80  # characters
FEW = 3  # results


@login_not_required
@require_safe
@gzip_page
def help(request: HttpRequest, name: str = presenter.INDEX) -> HttpResponse:
    """Show a guide; with `?q=`, what the search finds in all of them."""
    guides = presenter.guides()
    if name not in guides:
        raise Http404
    if presenter.REFERENCES.get(name):
        return redirect(guides[name].address)
    text = request.GET.get("q", "").strip()[:MAX_QUERY]
    asked = presenter.question(text)
    results = presenter.search(asked) if text else None
    context = {
        "guides": guides.values(),
        "guide": guides[name],
        "q": text,
        "meant": asked.text if asked.corrected else "",
        "results": results,
        # A question is seldom found word by word.
        "nearest": presenter.nearest(asked, beside=results) if results is not None and len(results) < FEW else (),
    }
    return render(request, "pages/help.html", context)
