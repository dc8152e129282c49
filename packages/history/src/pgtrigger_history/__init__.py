"""Recording what happens to rows for pgtrigger. Empty of types in this release."""

from importlib.metadata import version

__version__ = version("pgtrigger-history")
