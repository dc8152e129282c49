"""Databases of a test's own, under the aliases that Django knows."""

import io
import uuid
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from django.core.management import call_command
from django.db import connections

from pgtrigger.testing import database_settings
from project.connections import connect
from shop.database import in_message

PATIENCE = 30

TRIGGERS = """
    SELECT c.relnamespace::regnamespace::text, c.relname::text, t.tgname::text, t.oid::bigint,
           t.xmin::text, t.tgenabled::text, pg_get_triggerdef(t.oid),
           obj_description(t.oid, 'pg_trigger')
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     WHERE NOT t.tgisinternal ORDER BY 1, 2, 3
"""
FUNCTIONS = """
    SELECT p.pronamespace::regnamespace::text, p.proname::text, p.oid::bigint, p.xmin::text,
           p.prosrc, obj_description(p.oid, 'pg_proc')
      FROM pg_proc p
     WHERE p.pronamespace <> 'pg_catalog'::regnamespace
       AND p.pronamespace <> 'information_schema'::regnamespace
     ORDER BY 1, 2
"""


class Database:
    """A database, and what is really in it, told by a superuser's connection of its own."""

    def __init__(self, url):
        self.url = url
        self.name = urlsplit(url).path[1:]
        self.connection = connect(url)

    def sql(self, *statements):
        """Run statements, and give the rows of the last one."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def empty(self):
        """Drop everything, which is faster than a new database."""
        schemas = self.sql(
            "SELECT quote_ident(nspname) FROM pg_namespace"
            " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        )
        self.sql(
            *(f"DROP SCHEMA {schema} CASCADE" for (schema,) in schemas),
            "CREATE SCHEMA public",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
        )

    def entry(self, *, search_path=None, **changes):
        """The database in Django's settings, with a search path and others' credentials."""
        options = f"-c lock_timeout={PATIENCE}s"
        if search_path:
            options += f" -c search_path={search_path}"
        entry = database_settings(self.url, **changes)
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "options": options}}

    def triggers(self):
        """``schema.table:name`` of all triggers, with the part of the name that is declared."""
        return [f"{row[0]}.{row[1]}:{declared_name(row[2])}" for row in self.sql(TRIGGERS)]

    def functions(self):
        """``schema.name`` of all functions that are not Postgres' own, in the same way."""
        return [f"{row[0]}.{declared_name(row[1])}" for row in self.sql(FUNCTIONS)]

    def everything(self):
        """All there is about triggers, with the transactions that last wrote it."""
        return self.sql(TRIGGERS), self.sql(FUNCTIONS)

    def definition(self, name, schema="public"):
        """The definition of the trigger of this declared name."""
        rows = [row for row in self.sql(TRIGGERS) if row[0] == schema]
        [definition] = [row[6] for row in rows if declared_name(row[2]) == name]
        return definition

    def function(self, name, schema="public"):
        """The full name of the function of the trigger of this declared name."""
        rows = [row for row in self.sql(FUNCTIONS) if row[0] == schema]
        [function] = [row[1] for row in rows if declared_name(row[1]) == name]
        return f'"{schema}"."{function}"'

    def close(self):
        self.connection.close()


def declared_name(name):
    """What is between ``pgtrigger_`` and the digits; other names as they are."""
    return name.split("_")[1] if name.startswith("pgtrigger_") and name.count("_") == 2 else name


@contextmanager
def new_database(server, options=""):
    """A database of its own."""
    name = f"place_{uuid.uuid4().hex}"
    with closing(connect(server.url)) as administration, administration.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} {options}")
        database = Database(urlsplit(server.url)._replace(path=f"/{name}").geturl())
        try:
            yield database
        finally:
            database.close()
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def known_as(alias, entry):
    """Let Django take this database, an entry of its settings, for that of an alias."""
    before = connections[alias]
    wrapper = before.copy()
    wrapper.settings_dict = {**wrapper.settings_dict, **entry}
    connections[alias] = wrapper
    try:
        yield wrapper
    finally:
        wrapper.close()
        connections[alias] = before


def command(*args, **options):
    """What ``manage.py pgtrigger`` writes, without the spaces that pad it."""
    output = io.StringIO()
    call_command("pgtrigger", *args, stdout=output, **options)
    return [" ".join(line.split()) for line in output.getvalue().splitlines()]


def create_table(*models, alias="default"):
    with connections[alias].schema_editor() as editor:
        for model in models:
            editor.create_model(model)


@contextmanager
def statements(alias="default"):
    """The first words of the statements that change something, as they are run."""
    seen = []

    def note(execute, sql, params, many, context):
        texts = [text.split() for text in in_message(str(sql))]
        seen.extend(
            " ".join(words[:4] if words[:2] == ["CREATE", "OR"] else words[:2])
            for words in texts
            if words[0] not in ("SELECT", "SET", "WITH")
        )
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(note):
        yield seen
