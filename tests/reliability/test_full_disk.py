"""No room for the events: what cannot be recorded is refused, and goes on when there is room."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from reliability.conftest import Session
from reliability.durable import needs_a_durable_server

pytestmark = [pytest.mark.slow, *needs_a_durable_server]

MEGABYTE = 1 << 20
# The log of the server is written in files of 16 MB, which are to fit.
LIMIT = 17 * MEGABYTE
FILL = """
    INSERT INTO depot_parcelevent (pgh_label, pgh_operation, pgh_created_at, pgh_transaction,
           pgh_obj_id, id, note)
    SELECT 'old', 'UPDATE', now() - interval '1 year', pg_current_xact_id(), n, n, repeat('x', {width})
      FROM generate_series(1, {rows}) AS n
"""

# Each way to write is tried, and tells the class and the text of its error; None if there is none.
WRITES = """

    import json
    import os
    import resource
    import sys

    import django

    django.setup()

    from django.db import DatabaseError, connection, transaction

    import pgtrigger
    import pgtrigger_history
    from reliability.depot.models import Account, Parcel

    def save():
        parcel = Parcel.objects.get(pk=1)
        parcel.note = "saved " + "y" * 1000
        parcel.save()

    def update():
        Parcel.objects.update(note="updated " + "y" * 1000)

    def bulk_create():
        Parcel.objects.bulk_create([Parcel(note="y" * 1000) for _ in range(20)])

    def soft_delete():
        Parcel.objects.filter(pk=2).delete()

    def in_context():
        with pgtrigger_history.context(user=7), pgtrigger.ignore("depot.Account:keep"):
            Parcel.objects.update(weight=1)

    def in_transaction():
        with transaction.atomic():
            # Others go on: only the savepoint of what could not be recorded is undone.
            Account.objects.create(note="kept")
            try:
                with transaction.atomic():
                    Parcel.objects.update(weight=2)
            except DatabaseError as error:
                refused.append(error)
        if refused:
            raise refused.pop()

    def limit(pid, size):
        # Limits of another user's process are not root's to set, but that user's.
        child = os.fork() if os.geteuid() == 0 else 0
        if child:
            assert os.waitpid(child, 0)[1] == 0
            return
        if os.geteuid() == 0:
            os.setuid(os.stat("/proc/" + str(pid)).st_uid)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            os._exit(0)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def fill():
        # Smaller and smaller pieces, until there is no room for the smallest event.
        for rows, width in (400, 1000), (1, 1000), (1, 0):
            try:
                with connection.cursor() as cursor:
                    while True:
                        cursor.execute(FILLING.format(rows=rows, width=width))
            except DatabaseError:
                pass

    refused = []
    before = [*Parcel.objects.order_by("pk").values()]
    report = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [(pid,)] = cursor.fetchall()
    if "limit" in sys.argv:
        limit(pid, int(sys.argv[-1]))
    if "fill" in sys.argv:
        fill()
    for write in (save, update, bulk_create, soft_delete, in_context, in_transaction):
        error = None
        try:
            write()
        except DatabaseError as caught:
            error = str(caught)
        report[write.__name__] = error
    changed = [*Parcel.objects.order_by("pk").values()] != before
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('pgtrigger.context', true)")
        [(left,)] = cursor.fetchall()
    json.dump({"refused": report, "changed": changed, "left": left or ""}, sys.stdout)
"""


@pytest.fixture
def parcels(depot):
    """Two parcels, and an event for each."""
    depot.sql(
        "INSERT INTO depot_parcel (status, note, weight, is_active)"
        " VALUES ('packed', '', 0, true), ('packed', '', 0, true)"
    )
    return depot


@pytest.fixture
def small_disk(parcels):
    """The events are in a tablespace of 4 MB, and what makes it larger."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a file system of a few MB; see the test with a limit")
    [(owner,)] = parcels.sql("SELECT pg_read_file('postmaster.pid', 0, 1000)")
    uid = Path("/proc", owner.split()[0]).stat().st_uid
    with ExitStack() as undo:
        directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="small-"))
        Path(directory).chmod(0o755)
        place = Path(directory, "space")
        place.mkdir()
        options = f"size=4m,mode=700,uid={uid},gid={pwd.getpwuid(uid).pw_gid}"
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"a file system could not be mounted: {mounted.stderr.strip()}")
        undo.callback(subprocess.run, ["umount", str(place)], check=True)
        parcels.sql(f"CREATE TABLESPACE small LOCATION '{place}'")
        undo.callback(parcels.sql, "DROP TABLESPACE small")
        parcels.sql("ALTER TABLE depot_parcelevent SET TABLESPACE small")
        undo.callback(parcels.sql, "ALTER TABLE depot_parcelevent SET TABLESPACE pg_default")
        grow = ["mount", "-o", "remount,size=8m", str(place)]
        yield parcels, lambda: subprocess.run(grow, check=True)


def attempt(site, *arguments):
    """What `WRITES` reports."""
    site.write("writes.py", WRITES.replace("FILLING", repr(FILL)))
    return json.loads(site.python("writes.py", *map(str, arguments)).stdout)


def expect_all_refused(site, report, text):
    """Nothing was changed without its event, and each error says why."""
    assert [name for name, error in report["refused"].items() if text not in (error or "")] == []
    assert (report["changed"], report["left"]) == (False, "")
    # What the transaction had written before the savepoint that failed.
    assert site.sql("SELECT note FROM depot_account") == [("kept",)]
    expect_every_change_recorded(site)


def expect_every_change_recorded(site):
    columns = "note, weight, is_active"
    rows = site.sql(f"SELECT id, {columns} FROM depot_parcel ORDER BY id")
    last = site.sql(f"""
        SELECT DISTINCT ON (pgh_obj_id) pgh_obj_id, {columns} FROM depot_parcelevent
         WHERE pgh_label <> 'old' ORDER BY pgh_obj_id, pgh_id DESC
    """)
    assert rows == last
    contexts = "SELECT FROM depot_parcelevent WHERE pgh_context_id = context.id"
    orphans = f"SELECT 1 FROM pgtrigger_history_context AS context WHERE NOT EXISTS ({contexts})"
    assert site.sql(orphans) == []


def expect_all_done(site, report):
    assert {*report["refused"].values()} == {None}
    assert report["changed"]
    assert site.sql("SELECT count(*) FROM depot_parcel") == [(22,)]
    expect_every_change_recorded(site)


def test_a_full_disk_refuses_what_it_has_no_room_to_record(small_disk):
    site, grow = small_disk
    expect_all_refused(site, attempt(site, "fill"), "No space left on device")
    grow()
    expect_all_done(site, attempt(site))


def test_a_table_that_cannot_grow_refuses_what_it_has_no_room_to_record(parcels):
    """Without a file system of its own: a session may not write beyond a limit in any file."""
    with closing(Session(parcels.url)) as session:
        while session.sql("SELECT pg_relation_size('depot_parcelevent')") < [(LIMIT,)]:
            session.sql(FILL.format(rows=2000, width=1000))
    report = attempt(parcels, "fill", "limit", LIMIT)
    expect_all_refused(parcels, report, "File too large")

    # Sessions without the limit go on.
    expect_all_done(parcels, attempt(parcels))
