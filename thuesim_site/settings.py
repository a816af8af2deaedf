"""Settings, from the environment alone. `.env.example` lists every variable, in this order."""

import json
import os
import re
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from lib.network import silent_machines
from rentals.task_names import TaskQueue
from thuesim_site.start import demo, embedded_redis, modes, signs, variables
from thuesim_site.start.addresses import celery_options, celery_url
from thuesim_site.start.environment import BASE_DIR, read_dot_env
from thuesim_site.start.kept_secrets import kept_secret, new_fernet_key, new_secret_key

# Whatever started this process: databases, secrets, recordings and exports are for its own user alone.
os.umask(modes.UMASK)
django_stubs_ext.monkeypatch()
read_dot_env()

# Where it runs
HOST = variables.HOST.read()
PORT = variables.PORT.read()
DATA_DIR = demo.data_dir()
FILES_DIR = variables.FILES_DIR.read() or DATA_DIR
FILES_BUCKET = variables.FILES_URL.read()
PUBLIC_URL = variables.PUBLIC_URL.read()
# Below a path of the public address, such as /desk: every address begins with it, whether or not the proxy takes it away.
FORCE_SCRIPT_NAME = urlsplit(PUBLIC_URL).path or None
DEBUG = variables.DEBUG.read()

# What `./run` is whose process this is (`thuesim_site.start.roles.machine`); None in any other process.
RUN = json.loads(os.environ.get(signs.RUN, "null"))

# Secrets. Without a value, one is made and kept in the data directory, so that the first start needs nothing.
SECRET_KEY = variables.SECRET_KEY.read() or kept_secret(DATA_DIR / "secret_key", new_secret_key)
TOKEN_KEYS = variables.SECRET_KEYS.read() or [kept_secret(DATA_DIR / "token_key", new_fernet_key)]

_https = PUBLIC_URL.startswith("https://")
_public_host = urlsplit(PUBLIC_URL).hostname
_path = FORCE_SCRIPT_NAME or ""
# With it the browser itself refuses a cookie that another host of the domain, or a plain connection, tries to set. Below a
# path, cookies are sent there alone, which `__Host-` does not allow, and their names are none of the host's other programs.
COOKIE_PREFIX = "__Host-" if _https and not _path else "__Secure-" if _https else ""
COOKIE_PREFIX += f"{_path[1:].replace('/', '_')}_" if _path else ""
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{_path}/"
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *([HOST] if HOST not in {"0.0.0.0", "::"} else []),  # noqa: S104 - compared, not bound
    *([_public_host] if _public_host else []),
    *variables.ALLOWED_HOSTS.read(),
]
CSRF_FAILURE_VIEW = "thuesim_site.csrf_failure.csrf_failure"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL.removesuffix(_path)] if PUBLIC_URL else []
# Who is believed about the client's address and scheme. A proxy of this machine is believed about the scheme alone unless
# it is named: any process here could claim any address, to be throttled by none.
PROXIES = variables.PROXIES.read()
PROXY_SECRET = variables.PROXY_SECRET.read()
SCHEME_PROXIES = ["127.0.0.1", "::1"] if _https and not PROXIES else []
MAX_CONNECTIONS = variables.MAX_CONNECTIONS.read()
MAX_UNREAD_BYTES = variables.MAX_UNREAD_MB.read() * 1_000_000

# Applications
INSTALLED_APPS = [
    "pages",
    "rentals",
    "accounts",
    "sandbox",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "accounts.single_sign_on",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "thuesim_site.middleware.request_id.RequestIdMiddleware",
    "api.middleware.ApiMiddleware",
    "thuesim_site.middleware.database_outage.DatabaseOutageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "thuesim_site.middleware.security_headers.SecurityHeadersMiddleware",
    "thuesim_site.middleware.static_files.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "thuesim_site.middleware.nul_bytes.NulBytesMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.SignInRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.PersonMiddleware",
    "accounts.page_team.PageTeamMiddleware",
    "lib.web.confirmation.ConfirmationMiddleware",
    "accounts.sign_in.throttle.EntranceThrottleMiddleware",
    "thuesim_site.middleware.method_not_allowed.MethodNotAllowedMiddleware",
]
ROOT_URLCONF = "thuesim_site.urls"
WSGI_APPLICATION = "thuesim_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "thuesim_site.middleware.security_headers.nonce",
                "thuesim_site.context_processors.desk",
            ],
        },
    },
    # For the few templates that render hundreds of small things.
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates" / "jinja2"],
        "OPTIONS": {
            "environment": "thuesim_site.jinja_environment.environment",
            "trim_blocks": True,
            "lstrip_blocks": True,
        },
    },
]
FORM_RENDERER = "lib.web.form_renderer.FormRenderer"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Database
_database_url = variables.DATABASE_URL.read()
DATABASES: dict[str, dict[str, Any]] = {
    "default": variables.database(_database_url)
    if _database_url
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / demo.DATABASE)}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that began by reading never fails half-way for want of the write lock.
    # synchronous=FULL: an order is on the disk before its request leaves.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
    # Opening a file anew for each page costs as much as half the page; PostgreSQL has its pool.
    DATABASES["default"]["CONN_MAX_AGE"] = 60  # seconds
else:
    # After a restart of the database the pool holds dead connections: each is checked before a page gets it.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # No thread waits for a connection while there are more of them than threads, so the time-out is that of an outage.
    # The pool tries again after 1, 2, 4 … seconds, for so long; then it is the next page that tries.
    _pool = {"min_size": 1, "max_size": 28, "timeout": 3, "reconnect_timeout": 4}
    _pgbouncer = variables.PGBOUNCER.read()
    _parameters = silent_machines.postgresql_options(for_server=not _pgbouncer)
    if not _pgbouncer:
        # PostgreSQL compiles what it takes for much work: 70 to 200 ms, which is longer than any statement of a page.
        # The driver reads times in ISO alone, and the server's own `DateStyle` may be another.
        _parameters["options"] = f"{_parameters['options']} -c jit=off -c datestyle=ISO"
    DATABASES["default"]["OPTIONS"] = {
        **_parameters,
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": _pool,
    }
    # Its transaction mode gives each transaction another connection: a cursor that outlives one is not found again.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = _pgbouncer
CACHES = {
    # In the database, not in Redis: the counters of the sign-in throttle outlive a flushed Redis, and no person is
    # locked out of the pages while it restarts. It holds security state alone, and evicts none of it.
    "default": {"BACKEND": "lib.lasting_cache.LastingCache", "LOCATION": "django_cache"},
}

# Redis and Celery. Redis carries wake-ups only; it may be emptied at any moment.
REDIS_URL = variables.REDIS_URL.read() or embedded_redis.url(DATA_DIR)
CELERY_BROKER_URL = celery_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What a worker dies with is lost, and found again by a tick; to keep it in Redis until it is done costs as much
    # processor time as the shortest tasks themselves.
    "ack_emulation": False,
    "unacked_restore_interval": 3600,  # seconds until it is looked for what was kept so: nothing
    "polling_interval": 10,  # seconds that an idle worker waits in Redis at a time; a message wakes it at once
    "socket_timeout": 30,
    "socket_connect_timeout": silent_machines.CONNECT_SECONDS,
    "socket_keepalive": True,
    "socket_keepalive_options": silent_machines.socket_options(),
    "health_check_interval": 25,
    **celery_options(REDIS_URL),
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = TaskQueue.SLOW
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Nobody controls workers through Redis: each would hold a second connection, and wake each second for its mailbox.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "Asia/Ho_Chi_Minh"

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.allauth_adapters.OneCheck"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "desk"
ACCOUNT_ADAPTER = "accounts.allauth_adapters.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # whatever changes an account asks for the password again
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # or a visitor could have us write to strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Beside allauth's own: see accounts.sign_in.throttle. /m is a minute, 5m are five; "ip" is an address, or a /64 of IPv6.
ACCOUNT_RATE_LIMITS = {
    "network": "120/m/key",
    "passkey": "120/m/ip",
    "provider": "120/m/ip",
    "known_device": "5/5m/key",
    "reset_password_from_key": None,
}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
SESSION_COOKIE_AGE = variables.SESSION_HOURS.read() * 3600
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.sign_in.password_reset_tokens.ResetLinks"  # noqa: S105 - a class
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds
USERSESSIONS_TRACK_ACTIVITY = False
USERSESSIONS_ADAPTER = "accounts.allauth_adapters.WatchedSessions"
MFA_ADAPTER = "accounts.allauth_adapters.RequiredTwoFactor"
MFA_FORMS = {
    "add_webauthn": "accounts.sign_in.passkey_forms.AddPasskeyForm",
    "authenticate_webauthn": "accounts.sign_in.passkey_forms.AuthenticatePasskeyForm",
    "login_webauthn": "accounts.sign_in.passkey_forms.LoginPasskeyForm",
    "reauthenticate_webauthn": "accounts.sign_in.passkey_forms.ReauthenticatePasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "ThueSim Desk"
PASSWORDS = variables.PASSWORDS.read()
MFA_PASSKEY_LOGIN_ENABLED = PASSWORDS  # a passkey of the desk would go around the provider as well
OIDC_PROVIDERS = variables.OIDC.read()
OIDC_DAYS = variables.OIDC_DAYS.read()
SOCIALACCOUNT_ADAPTER = "accounts.single_sign_on.adapter.ProviderSignIn"
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}  # see the adapter
SOCIALACCOUNT_STORE_TOKENS = False
# Without EMAIL_URL nothing is sent: passwords are set by links that managers hand over.
_email = environ.Env.email_url_config(variables.EMAIL_URL.read())
EMAIL_BACKEND, EMAIL_FILE_PATH = _email["EMAIL_BACKEND"], _email["EMAIL_FILE_PATH"]
EMAIL_HOST, EMAIL_PORT = _email["EMAIL_HOST"], _email["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_USER"], _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _email.get("EMAIL_USE_TLS", False), _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = variables.EMAIL_FROM.read() or f"ThueSim Desk <desk@{_public_host or 'localhost'}>"

# Language and time
LANGUAGE_CODE = "vi"
LANGUAGES = [("vi", _("Vietnamese")), ("en", _("English"))]
LANGUAGE_COOKIE_NAME = f"{COOKIE_PREFIX}django_language"
LANGUAGE_COOKIE_AGE = 365 * 86400  # seconds
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = _https
# The second holds what libraries say, where they bring no Vietnamese or another word than the desk.
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale_libraries"]
FORMAT_MODULE_PATH = "thuesim_site.formats"
TIME_ZONE = "Asia/Ho_Chi_Minh"
USE_TZ = True
USE_THOUSAND_SEPARATOR = False  # ids stand in attributes; money has a filter of its own

# Static files
STATIC_URL = f"{_path}/static/"
# An image has them collected already, for a root file system that is read-only.
STATIC_ROOT = BASE_DIR / "collected" if (BASE_DIR / "collected").is_dir() else DATA_DIR / "static"
# The pictures are in the guides, which the help shows.
STATICFILES_DIRS = [BASE_DIR / "static", ("pictures", BASE_DIR / "docs" / "pictures")]
# Recordings, and exports that were made in the background. Served by views that ask who is looking, never from an address
# of their own.
MEDIA_ROOT = FILES_DIR / "media"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "lib.files.shared_files.Folder"},
    "exports": {"BACKEND": "lib.files.shared_files.ExportFolder"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "thuesim_site.hashed_static_files.HashedModulesStorage"
    },
}
if FILES_BUCKET is not None:
    _folders = {"default": "media", "exports": "exports"}
    for _name, _folder in _folders.items():
        STORAGES[_name] = {
            "BACKEND": "lib.files.s3_files.S3Files",
            "OPTIONS": {"bucket": FILES_BUCKET, "folder": _folder},
        }

# Security
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid", f"{COOKIE_PREFIX}csrftoken"
SECURE_SSL_REDIRECT = _https
SECURE_SSL_HOST = urlsplit(PUBLIC_URL).netloc if _https else None  # and not what the request's Host says
# Asked for inside the house, without the proxy; and a callback that is redirected is a callback lost.
_below = f"^{re.escape(_path[1:])}/" if _path else "^"
SECURE_REDIRECT_EXEMPT = [f"{_below}{address}" for address in ("healthz$", "readyz(/web)?$", "metrics$", "callback/")]
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
# Not for the other programs of a host: they may have subdomains without TLS.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https and not _path
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # not in a cookie of its own
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "media-src": [SELF],
        "worker-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# An error page for developers shows forms, variables and settings; no secret among them, with DEBUG neither.
DEFAULT_EXCEPTION_REPORTER = "thuesim_site.error_reports.CautiousReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "thuesim_site.error_reports.CautiousReport"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024  # bytes; a callback or a form is a few kB
FILE_UPLOAD_HANDLERS: list[str] = []  # no page takes files: those sent all the same are dropped as they come

# Logging, to the terminal alone, through the one handler that redacts. At DEBUG, urllib3 would print each address with
# the token in it, and the database's logger each statement with what a message says.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {"()": "thuesim_site.redaction.DeskFilter"},
        "full_disk": {"()": "lib.files.disk.NoTraceback"},
    },
    "formatters": {
        "text": {
            "()": "lib.log_lines.Lines",
            "fmt": "{desk_process:<8} | {asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "lib.log_lines.JsonLines"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["full_disk", "redact"],
            "formatter": variables.LOG_FORMAT.read(),
        }
    },
    "root": {"handlers": ["console"], "level": variables.LOG_LEVEL.read()},
    "loggers": {
        "urllib3": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        # Django's own handlers, of which one prints to the terminal with DEBUG, know no redaction.
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "django.db.backends": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}

# ThueSim
DEMO = demo.is_on()
SANDBOX_PORT = variables.SANDBOX_PORT.read() or PORT + 1
THUESIM_BASE_URL = variables.THUESIM_BASE_URL.read() or f"http://127.0.0.1:{SANDBOX_PORT}"
THUESIM_TIMEOUT_SECONDS = variables.THUESIM_TIMEOUT.read()
THUESIM_RENT_GAP_SECONDS = variables.THUESIM_RENT_GAP.read()
THUESIM_POLL_SECONDS = variables.THUESIM_POLL_INTERVAL.read()
CALLBACK_ALLOW = variables.CALLBACK_ALLOW.read()
OUTGOING_ALLOW = variables.OUTGOING_ALLOW.read()
SENTRY_DSN = variables.SENTRY_DSN.read()
METRICS_TOKEN = variables.METRICS_TOKEN.read()
KEEP_MESSAGES_DAYS = variables.KEEP_MESSAGES_DAYS.read()
BACKUP_PASSPHRASE = variables.BACKUP_PASSPHRASE.read()
AUDIT_DAYS = variables.KEEP_AUDIT_DAYS.read()
