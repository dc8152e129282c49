"""Names and values of any characters go through compiling, installing, firing and removing."""

import json
import random

import pytest
from django.apps.registry import Apps
from django.db import IntegrityError, connection, models, transaction

import pgtrigger
from pgtrigger import sql as quoting
from pgtrigger.catalog import INSTALLED
from pgtrigger.errors import DeclarationError

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

PIECES = [
    *"'\"\\${}[]()%;:,.-/*&|=<>!? \n\t",
    "$$", "$pgtrigger$", "$1", "--", "/*", "*/", "%s", "%(x)s", "%%", "%I", "{x}", "{{", "NULL", "E'",
    "OLD.", "NEW", "\\'", "''", '""', "é", "\u2028", "\U0001f600", "ß", "select", "a", "Z", "0", "_",
]  # fmt: skip


def text(chance, longest=12):
    return "".join(chance.choices(PIECES, k=chance.randint(1, longest)))


def name(chance):
    """A name that Postgres keeps as it is: not empty, at most 63 bytes, as Django writes it."""
    while True:
        found = text(chance, 8).replace(".", "_").strip('"') or "n"
        # Django itself refuses $ in names that a query selects, and takes % for a place.
        found = found.replace("%", "p").replace("$", "S")
        if len(found.encode()) <= 40 and '"' not in found:
            return found


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_thousands_of_literals_and_identifiers_are_read_back_as_they_were(conforming):
    chance = random.Random(1 if conforming == "on" else 2)
    texts = [text(chance, 20) for _ in range(3000)]
    values = [
        lambda: chance.randint(-(10**18), 10**18),
        lambda: [text(chance), text(chance)],
        lambda: {text(chance): [text(chance), None, 1.5]},
        lambda: text(chance).encode(),
        lambda: None,
    ]
    others = [chance.choice(values)() for _ in range(500)]
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL standard_conforming_strings = {conforming}")
        cursor.execute("SET LOCAL escape_string_warning = off")
        for start in range(0, len(texts), 500):
            part = texts[start : start + 500]
            listed = ", ".join(map(quoting.string, part))
            cursor.execute(f"SELECT ARRAY[{listed}]")
            assert cursor.fetchone()[0] == part
            body = "\n".join(part)
            cursor.execute(f"SELECT {quoting.dollar_quote(body)}")
            assert cursor.fetchone()[0] == body
            cursor.execute(f"SELECT {quoting.string(quoting.array(part))}::text[]")
            assert cursor.fetchone()[0] == part
            short = [one for one in part if len(one.encode()) <= 63]
            columns = ", ".join(f"1 AS {quoting.quote(one)}" for one in short)
            cursor.execute(f"SELECT {columns}")
            assert [column.name for column in cursor.description] == short
        for value in others:
            literal = quoting.literal(value)
            cursor.execute(f"SELECT {literal}")
            (found,) = cursor.fetchone()
            if isinstance(value, bytes):
                assert bytes(found) == value
            else:
                assert (json.loads(found) if isinstance(found, str) else found) == value
    print(f"{len(texts) * 4 + len(others)} cases")


def test_nul_is_refused_by_name():
    for make in (quoting.quote, quoting.string):
        with pytest.raises(DeclarationError):
            make("a\0b")
    with pytest.raises(DeclarationError):
        quoting.quote("")


def declared(chance, number):
    """A model with odd names, and triggers of every type on it."""
    columns = [name(chance) + str(place) for place in range(4)]
    states = [text(chance, 6) for _ in range(3)]

    class Meta:
        app_label = "odd"
        apps = Apps()
        db_table = f"{name(chance)}{number}"

    attributes = {
        "__module__": __name__,
        "Meta": Meta,
        "state": models.CharField(max_length=200, db_column=columns[0]),
        "note": models.TextField(db_column=columns[1], default=""),
        "live": models.BooleanField(db_column=columns[2], default=True),
        "data": models.JSONField(db_column=columns[3], default=dict),
    }
    model = type(f"Odd{number}", (models.Model,), attributes)
    braces = text(chance, 10).replace("{", "{{").replace("}", "}}")
    level = chance.choice([pgtrigger.Row, pgtrigger.Statement])
    shown = braces + (" {old.note}" if level == pgtrigger.Row else " {table}")
    triggers = [
        pgtrigger.FSM(
            name=f"fsm-{number}",
            field="state",
            level=chance.choice([pgtrigger.Row, pgtrigger.Statement]),
            transitions=[(states[0], states[1] + "1"), (states[1] + "1", states[2] + "2")],
        ),
        pgtrigger.Protect(
            name=f"keep_{number}",
            operation=pgtrigger.Delete,
            level=level,
            condition=pgtrigger.Q(old__note=states[0]) | pgtrigger.Q(old__data={"k": states[1]}),
            message=shown,
            hint=braces,
        ),
        pgtrigger.ReadOnly(name=f"fixed-{number}", fields=["data", "live"], level=level),
    ]
    return model, triggers, states, braces.replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_triggers_on_odd_names_and_values_do_what_they_say(conforming):
    chance = random.Random(conforming)
    cases = 0
    for number in range(25):
        model, triggers, states, said = declared(chance, number)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL standard_conforming_strings = {conforming}")
                cursor.execute("SET LOCAL escape_string_warning = off")
            with connection.schema_editor() as editor:
                editor.create_model(model)
            for trigger in triggers:
                trigger.register(model)
                trigger.install(model)
                assert trigger.get_installation_status(model) == (INSTALLED, True)
            kept = model.objects.create(state=states[0], note=states[0])
            other = model.objects.create(state=states[0], data={"k": states[1]})
            free = model.objects.create(state=states[0], note=states[0] + "x")
            for refused in (kept, other):
                with pytest.raises(IntegrityError) as caught, transaction.atomic():
                    refused.delete()
                told = str(caught.value).split("\nDETAIL")[0]
                assert said.strip().split("\n")[0].strip() in told
            free.delete()
            model.objects.filter(pk=kept.pk).update(state=states[1] + "1")
            with pytest.raises(IntegrityError), transaction.atomic():
                model.objects.filter(pk=kept.pk).update(state=states[0] + "3")
            with pytest.raises(IntegrityError), transaction.atomic():
                model.objects.filter(pk=kept.pk).update(data={"k": 5})
            with pgtrigger.ignore(*(trigger.get_uri(model) for trigger in triggers)):
                model.objects.filter(pk=kept.pk).update(data={"k": 5}, state="any")
                model.objects.all().delete()
            assert not model.objects.exists()
            for trigger in triggers:
                trigger.uninstall(model)
                trigger.unregister(model)
            transaction.set_rollback(True)
        cases += len(triggers)
    print(f"{cases} triggers")


def test_a_name_that_postgres_would_cut_is_refused():
    with pytest.raises(DeclarationError, match="63"):
        pgtrigger.compiler.postgres_id("n" * 60, "app.Model:n")
