"""Settings for the tests: fast hashing, nothing outside the machine, and neither broker nor Redis unless asked for."""

import os
import tempfile

os.environ.setdefault("DESK_DATA_DIR", tempfile.mkdtemp(prefix="desk-test-"))
os.environ.setdefault("SECRET_KEY", "only-for-tests-and-long-enough-for-them")
os.environ.setdefault("THUESIM_BASE_URL", "http://127.0.0.1:9")

from thuesim_site.settings import *  # noqa: F403
from thuesim_site.settings import DATABASES, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: threads and live servers share it.
    DATABASES["default"]["TEST"] = {"NAME": os.environ["DESK_DATA_DIR"] + "/test.sqlite3"}
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    # Nothing of a test has to be there after a power cut.
    _options = DATABASES["default"]["OPTIONS"]
    _options["init_command"] = _options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
elif _pool := DATABASES["default"]["OPTIONS"].get("pool"):
    _pool["timeout"] = 60  # fifty threads of a test share the connections, whatever else the machine does meanwhile
REDIS_URL = "unix:///nowhere/redis.sock?db=0"
CELERY_BROKER_URL = "memory://"
# The middleware for static files warns where there is no such folder.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
LANGUAGE_CODE = "en"
