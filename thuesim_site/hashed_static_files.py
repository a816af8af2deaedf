"""Names with a hash of the content for static files (cache busting), so that browsers may cache them for good."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

_IMPORT = r"""(?P<matched>(?P<word>from|import) "(?P<url>\./[\w-]+\.js)";)"""


class HashedModulesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Writes the hashed names into the imports of our own scripts, too.

    Django's `support_js_module_import_aggregation` does the same for the scripts of all packages. It fails at a comment
    in one of django-htmx's, which looks like the import of a missing file.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("js/*.js", ((_IMPORT, '%(word)s "%(url)s";'),)))
