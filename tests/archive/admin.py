from django.contrib import admin

from archive.models import Folder, Shelf
from pgtrigger_softdelete.admin import SoftDeleteAdminMixin


@admin.register(Shelf)
class ShelfAdmin(SoftDeleteAdminMixin, admin.ModelAdmin):
    ordering = ["name"]


@admin.register(Folder)
class FolderAdmin(SoftDeleteAdminMixin, admin.ModelAdmin):
    list_filter = ["name"]
