"""Static files are served under names with a hash of their content, so that browsers may keep them for good."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

_IMPORT = r"""(?P<matched>(?P<word>from|import) "(?P<url>\./[\w-]+\.js)";)"""


class HashedModulesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Writes the hashed names into the imports of our own scripts as well.

    Django's `support_js_module_import_aggregation` would read the scripts of all packages, and stops at one of
    django-htmx's whose comment looks like the import of a file that is not there.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("js/*.js", ((_IMPORT, '%(word)s "%(url)s";'),)))
