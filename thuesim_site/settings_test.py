"""Settings for the tests: fast hashing, no migrations' worth of waiting, nothing outside the machine."""

import os
import tempfile

os.environ.setdefault("DESK_DATA_DIR", tempfile.mkdtemp(prefix="desk-test-"))
os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("THUESIM_BASE_URL", "http://127.0.0.1:9")

from thuesim_site.settings import *  # noqa: E402, F403
from thuesim_site.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A file, not memory: threads and live servers share it.
DATABASES["default"]["TEST"] = {"NAME": os.environ["DESK_DATA_DIR"] + "/test.sqlite3"} if "sqlite3" in DATABASES["default"]["ENGINE"] else {}
LANGUAGE_CODE = "en"
