from django.contrib import admin

from ledger.models import Account, Cafe, Customer, Everything, Invoice, Payment, Tag
from pgtrigger_history.admin import HistoryAdmin


@admin.register(Customer)
class CustomerAdmin(HistoryAdmin, admin.ModelAdmin):
    list_display = ["name", "city"]


@admin.register(Invoice)
class InvoiceAdmin(HistoryAdmin, admin.ModelAdmin):
    history_related = True


@admin.register(Account, Cafe, Everything, Payment, Tag)
class TrackedAdmin(HistoryAdmin, admin.ModelAdmin):
    pass
