"""``manage.py serve``: the flights in the Django admin."""

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from flights.preparation import add_arguments, console, prepare


class Command(BaseCommand):
    """`runserver` on a database that is ready to be looked at."""

    help = "Load the flights unless there are some, and open them in the Django admin."

    def add_arguments(self, parser):
        add_arguments(parser)
        parser.add_argument(
            "address", nargs="?", default="127.0.0.1:8000", help="address:port, or port"
        )

    def handle(self, *, rows, fresh, address, **options):
        prepare(rows, fresh=fresh)
        users = get_user_model()
        if not users.objects.filter(username="admin").exists():
            users.objects.create_superuser("admin", password="admin")
            console.print("Log in as admin with the password admin.")
        # Reloading would start a second process, and this one has nothing that changes.
        call_command("runserver", address, use_reloader=False)
