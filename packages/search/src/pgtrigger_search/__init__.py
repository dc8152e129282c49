"""Keep a search vector up to date: UpdateSearchVector."""

from pgtrigger_search.triggers import UpdateSearchVector as UpdateSearchVector
