"""The name under which django-pgtrigger 4.x has most of its classes; see ``pgtrigger.legacy``."""

from pgtrigger.legacy import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]  # re-exports
