"""Triggers that are in a database already, as declarations to paste."""

from pgtrigger.inspection.drafting import Draft as Draft
from pgtrigger.inspection.drafting import draft as draft
from pgtrigger.inspection.table import source_of_table as source_of_table
