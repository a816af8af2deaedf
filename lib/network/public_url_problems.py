"""What can be wrong between people and the desk, each in a sentence that says what to do."""

from collections.abc import Mapping
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Problem(StrEnum):
    """The values stand in the database."""

    UNREACHABLE = "unreachable"
    NO_TLS = "no_tls"
    TLS_WANTED = "tls_wanted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_SOON = "certificate_soon"
    CERTIFICATE_HOST = "certificate_host"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    NO_ANSWER = "no_answer"
    BASIC_AUTHENTICATION = "basic_authentication"
    DESK_AWAY = "desk_away"
    REDIRECTED = "redirected"
    OTHER_PROGRAM = "other_program"
    HOST_CHANGED = "host_changed"
    ORIGIN_CHANGED = "origin_changed"
    SCHEME_LOST = "scheme_lost"
    SCHEME_NOT_BELIEVED = "scheme_not_believed"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a problem, not a secret
    CLIENT_LOST = "client_lost"
    CLIENT_NOT_BELIEVED = "client_not_believed"
    CLIENT_CLAIMED = "client_claimed"
    CLOCKS = "clocks"
    BUFFERED = "buffered"
    COMPRESSED = "compressed"
    CUT = "cut"


# The desk works with these today; and an address that this machine cannot reach may be reached by everybody else.
WARNINGS = frozenset({Problem.CERTIFICATE_SOON, Problem.UNREACHABLE})

SENTENCES: Mapping[Problem, Promise] = {
    Problem.UNREACHABLE: _(
        "%(host)s cannot be reached on port %(port)s from the desk's machine (%(reason)s): look at the name's DNS entry, "
        "the proxy and the firewall. Some networks do not lead a machine back to their own public address: then this says "
        "nothing about the others."
    ),
    Problem.NO_TLS: _(
        "%(host)s does not speak TLS on port %(port)s (%(reason)s): give the proxy a certificate there, or begin "
        "DESK_PUBLIC_URL with http://."
    ),
    Problem.TLS_WANTED: _("%(host)s speaks TLS on port %(port)s: begin DESK_PUBLIC_URL with https://."),
    Problem.CERTIFICATE_EXPIRED: _("The certificate of %(host)s has expired: renew it at the proxy."),
    Problem.CERTIFICATE_SOON: _("The certificate of %(host)s expires in %(days)s days: renew it at the proxy."),
    Problem.CERTIFICATE_HOST: _(
        "The certificate is for another name than %(host)s: get one for this name, or correct DESK_PUBLIC_URL."
    ),
    Problem.CERTIFICATE_UNTRUSTED: _(
        "The certificate of %(host)s is not trusted (%(reason)s): give the proxy the whole chain; for a CA of your own, "
        "have this machine trust it, or name its file in SSL_CERT_FILE."
    ),
    Problem.NO_ANSWER: _(
        "%(host)s takes the connection and gives no answer of use (%(reason)s): look at the proxy's log."
    ),
    Problem.BASIC_AUTHENTICATION: _(
        "Basic authentication stands in front of %(address)s (status 401): take it out of the proxy, since the desk asks "
        "for a sign-in itself, and neither callbacks nor API keys pass it."
    ),
    Problem.DESK_AWAY: _(
        "The proxy at %(address)s does not reach the desk (it answers %(status)s): start the desk, and compare the proxy's "
        "target with HOST and PORT."
    ),
    Problem.REDIRECTED: _(
        "%(address)s redirects to %(to)s in the place of an answer: name the address that people end at in DESK_PUBLIC_URL, "
        "or take the redirect out of the proxy."
    ),
    Problem.OTHER_PROGRAM: _(
        "What answers at %(address)s is not this desk (status %(status)s): the proxy leads this address elsewhere, changes "
        "its path, or leads to a desk with another SECRET_KEY."
    ),
    Problem.HOST_CHANGED: _(
        "The proxy passes the host on as “%(seen)s” in the place of “%(expected)s”: have it pass what the browser sent "
        "(nginx: proxy_set_header Host $http_host)."
    ),
    Problem.ORIGIN_CHANGED: _(
        "The browser's Origin arrives as “%(seen)s” in the place of “%(expected)s”, so forms are refused (CSRF): have the "
        "proxy leave that header alone."
    ),
    Problem.SCHEME_LOST: _(
        "The proxy does not say that people come by https, so each page redirects without end: have it send "
        "X-Forwarded-Proto (nginx: proxy_set_header X-Forwarded-Proto $scheme)."
    ),
    Problem.SCHEME_NOT_BELIEVED: _(
        "The proxy at %(peer)s says that people come by https, and is not believed: name it in DESK_PROXIES."
    ),
    Problem.SECRET_MISSING: _(
        "The proxy at %(peer)s does not send the DESK_PROXY_SECRET of the desk, so it is believed neither about the scheme "
        "nor about who asks: have it send the header X-Desk-Proxy-Secret."
    ),
    Problem.CLIENT_LOST: _(
        "The proxy at %(peer)s does not say who asks, so all people look like one address: have it send X-Forwarded-For "
        "(nginx: proxy_set_header X-Forwarded-For $remote_addr)."
    ),
    Problem.CLIENT_NOT_BELIEVED: _(
        "All people look like one address, %(peer)s, and are throttled together: if that is your proxy, name it in "
        "DESK_PROXIES."
    ),
    Problem.CLIENT_CLAIMED: _(
        "The proxy passes on what a visitor claims to be (X-Forwarded-For: %(claimed)s), so nobody is throttled: have it "
        "replace that header (nginx: proxy_set_header X-Forwarded-For $remote_addr)."
    ),
    Problem.CLOCKS: _(
        "The clocks of this machine and of the one that answers for %(host)s differ by %(seconds)s seconds: have both "
        "follow a time server (NTP), or two-factor codes are refused."
    ),
    Problem.BUFFERED: _(
        "The proxy holds the live stream back (its first event came after %(seconds)s seconds), so codes come late: turn "
        "its buffering of answers off (nginx: proxy_buffering off)."
    ),
    Problem.COMPRESSED: _(
        "The proxy compresses the live stream (%(encoding)s), so codes come late: have it leave text/event-stream, or "
        "answers with Cache-Control: no-transform, as they are."
    ),
    Problem.CUT: _(
        "The proxy ends a stream that is silent for %(seconds)s seconds; the desk's are silent for up to 15: raise its "
        "time-out for reading to 60 seconds or more (nginx: proxy_read_timeout)."
    ),
}
