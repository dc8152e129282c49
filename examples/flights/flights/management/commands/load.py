"""``manage.py load``: migrate, and load the flights."""

from django.core.management.base import BaseCommand

from flights.preparation import add_arguments, prepare


class Command(BaseCommand):
    """Does nothing where the flights are loaded already."""

    help = "Migrate, and load the flights unless there are some."

    def add_arguments(self, parser):
        add_arguments(parser)

    def handle(self, *, rows, fresh, **options):
        prepare(rows, fresh=fresh)
