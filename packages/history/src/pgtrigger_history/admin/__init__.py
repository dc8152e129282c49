"""The history of objects in Django's admin. Django manual: "The Django admin site"."""

from pgtrigger_history.admin.options import HistoryAdmin as HistoryAdmin
