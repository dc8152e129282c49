"""The Django project around the flights app."""
