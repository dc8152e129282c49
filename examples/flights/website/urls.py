"""The admin, and nothing else."""

from django.contrib import admin
from django.urls import path

admin.site.site_header = "Flights from New York, 2013"
admin.site.site_title = "Flights"
admin.site.index_title = "Try to break a rule: the database answers"

urlpatterns = [path("", admin.site.urls)]
