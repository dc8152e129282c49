"""Migrations of the table of contexts."""
