"""The example as its user meets it: its commands, in processes of their own."""

import http.cookiejar
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from project.connections import connect

pytestmark = pytest.mark.slow

pytest.importorskip("psycopg", reason="the flights are loaded by psycopg's COPY")

EXAMPLE = Path(__file__).parent.parent
ROWS = 2_000


def start(url, script, *arguments, **options):
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE / script), *arguments],
        env=environment | {"DATABASE_URL": url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run(url, script, *arguments):
    with start(url, script, *arguments) as process:
        output, _ = process.communicate(timeout=120)
    return process.returncode, output


@pytest.fixture(scope="module")
def flights(server):
    """The URL of a database that the flights are loaded into."""
    name = f"flights_{uuid.uuid4().hex}"
    administration = connect(server.url)
    try:
        with administration.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        url = urlsplit(server.url)._replace(path=f"/{name}").geturl()
        code, output = run(url, "manage.py", "load", "--rows", str(ROWS))
        assert code == 0, output
        assert "2,000 flights loaded" in output
        yield url
        with administration.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        administration.close()


def test_makemigrations_finds_nothing_to_do(server):
    code, output = run(server.url, "manage.py", "makemigrations", "--check", "--dry-run")
    assert (code, output) == (0, "No changes detected\n")


def test_the_demo_gets_the_answers_it_expects_and_does_not_load_twice(flights):
    code, output = run(flights, "demo.py")
    assert code == 0, output
    assert "2,000 of 336,776 flights are loaded already" in output
    assert "WRONG" not in output
    assert "none of it unexpected. The tables are as they were." in output
    assert "user: Ada, reason: radar: arrival_delay 11 -> 71" in output
    assert re.search(r"raw SQL +FlightEvent:append_only +Cannot delete rows .* ok", output)
    for path in ("ORM", "queryset", "raw SQL"):
        assert re.search(rf"{path} +Flight:keep_landed +Cannot delete rows .* ok", output)


def test_the_demo_fails_when_a_trigger_does_not_fire(empty_database):
    code, output = run(empty_database, "manage.py", "load", "--rows", "1000")
    assert code == 0, output
    code, output = run(
        empty_database, "manage.py", "pgtrigger", "disable", "flights.Flight:schedule"
    )
    assert code == 0, output
    code, output = run(empty_database, "demo.py")
    assert code == 1
    assert output.count("WRONG") == 3
    assert "The tables are as they were." in output
    assert "The database did not do what its triggers say." in output


def test_flights_that_are_older_than_their_history_are_loaded_anew(empty_database):
    code, output = run(empty_database, "manage.py", "load", "--rows", "1000")
    assert code == 0, output
    forget = (
        "from pgtrigger_history.maintenance import maintenance\n"
        "from flights.models import FlightEvent\n"
        "with maintenance(): FlightEvent.objects.all().delete()"
    )
    code, output = run(empty_database, "manage.py", "shell", "-v", "0", "-c", forget)
    assert code == 0, output
    code, output = run(empty_database, "demo.py", "--rows", "1000")
    assert code == 0, output
    assert "The flights are older than the record of their history." in output
    assert "1,000 flights loaded" in output
    assert "none of it unexpected." in output


@pytest.mark.parametrize("rows", ["999", "many"])
def test_a_wrong_number_of_rows_is_refused(server, rows):
    code, output = run(server.url, "demo.py", "--rows", rows)
    assert code == 2
    assert f"'{rows}' is not a number from 1000 to 336776" in output


PAGES = """
import json, re
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from flights.models import Flight

browser = Client(headers={"host": "localhost"})
browser.force_login(get_user_model().objects.create_superuser("tester"))
landed = Flight.objects.exclude(arrival_delay=None).earliest("id").pk
report = {"queries": {}, "messages": {}}

for page in (
    "/",
    "/flights/flight/",
    "/flights/flight/?p=3",
    "/flights/flight/?q=n14228",
    "/flights/flight/?status=lost&origin=EWR&airline__code__exact=UA",
    "/flights/flight/?status=nonsense",
    "/flights/flight/add/",
    f"/flights/flight/{landed}/change/",
    f"/flights/flight/{landed}/delete/",
    f"/flights/flight/{landed}/history/",
    "/flights/flight/deleted/",
    "/flights/plane/",
    "/flights/plane/add/",
    "/flights/airport/",
    "/flights/airline/",
    "/flights/airline/UA/delete/",
    "/flights/delayrevision/",
    "/autocomplete/?app_label=flights&model_name=flight&field_name=plane&term=N1",
):
    with CaptureQueriesContext(connection) as queries:
        response = browser.get(page)
    assert response.status_code == 200, (page, response.status_code)
    report["queries"][page] = len(queries)

for page, data in (
    (f"/flights/flight/{landed}/delete/", {"post": "yes"}),
    ("/flights/flight/", {"action": "delete_selected", "_selected_action": landed, "post": "yes"}),
    ("/flights/airline/UA/change/", {"code": "UA", "name": "Untied Airlines"}),
):
    response = browser.post(page, data, follow=True)
    assert response.status_code == 200, (page, response.status_code)
    report["messages"][page.replace(str(landed), "1")] = re.findall(
        '<li class="(?:error|success)">(.*?)</li>', response.content.decode()
    )
cancelled = Flight.objects.filter(departure_time=None).latest("id").pk
browser.post(f"/flights/flight/{cancelled}/delete/", {"post": "yes"})
event = Flight.history.of(cancelled).latest()
report["event"] = event.pgh_label, event.pgh_context.data
deleted = browser.get("/flights/flight/deleted/").content.decode()
report["gone"] = f"/flights/flight/{cancelled}/history/" in deleted
report["tester"] = get_user_model().objects.get().pk, cancelled
print("REPORT", json.dumps(report))
"""


def test_admin_pages_take_few_queries_and_show_what_a_trigger_refuses(flights):
    code, output = run(flights, "manage.py", "shell", "-c", PAGES)
    assert code == 0, output
    report = json.loads(output.partition("REPORT ")[2])
    assert max(report["queries"].values()) < 12, report["queries"]
    assert report["messages"] == {
        "/flights/flight/1/delete/": [
            "Cannot delete rows from flights_flight table (flights.Flight:keep_landed)"
        ],
        "/flights/flight/": [
            "Cannot delete rows from flights_flight table (flights.Flight:keep_landed)"
        ],
        "/flights/airline/UA/change/": [
            "Cannot update rows from flights_airline table (flights.Airline:reference_data)"
        ],
    }
    user, flight = report["tester"]
    assert report["gone"]
    url = f"/flights/flight/{flight}/delete/"
    assert report["event"] == ["delete", {"user": user, "url": url, "method": "POST"}]


def test_serve_opens_the_flights_in_the_admin(flights):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        site = f"http://127.0.0.1:{free.getsockname()[1]}"
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    with start(flights, "manage.py", "serve", site.removeprefix("http://")) as process:
        try:
            login = f"{site}/login/?next=/flights/flight/"
            browse_until_there(browser, login, process).close()
            (token,) = [cookie.value for cookie in cookies if cookie.name == "csrftoken"]
            form = {"username": "admin", "password": "admin", "csrfmiddlewaretoken": token}
            with browser.open(login, urllib.parse.urlencode(form).encode()) as response:
                page = response.read().decode()
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=60)
    assert "UA1545" in page
    assert "Log in as admin with the password admin." in output


def browse_until_there(browser, url, process):
    for _ in range(300):
        try:
            return browser.open(url, timeout=10)
        except urllib.error.URLError:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")
