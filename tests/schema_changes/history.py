"""The history of a project's models, migrated in this process on a real server.

Each version of the models goes the way of a user: the autodetector writes migrations, the migration
writer turns them into text, Django's executor runs them. `History.check` then compares the catalog
with what the version declares, by SQL that shares nothing with pgtrigger.
"""

import hashlib
import re
from collections import Counter

from django.db import connections, migrations, models, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter

from pgtrigger.migrations._autodetector import with_triggers

SCHEMA, AUDIT = SCHEMAS = "changes", "audit"

Autodetector = with_triggers(MigrationAutodetector)

STATES = {
    "O": "ENABLE TRIGGER",
    "D": "DISABLE TRIGGER",
    "A": "ENABLE ALWAYS TRIGGER",
    "R": "ENABLE REPLICA TRIGGER",
}

TRIGGERS = """
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled::text, t.tgdeferrable, t.tginitdeferred,
           pg_get_triggerdef(t.oid), pn.nspname, p.proname, p.prosrc
      FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
     WHERE NOT t.tgisinternal AND n.nspname = ANY(%s)
     ORDER BY 1, 2, 3
"""

# Functions of ours that no trigger calls, wherever they may be.
LEFT_OVER = r"""
    SELECT p.pronamespace::regnamespace::text, p.proname
      FROM pg_proc p LEFT JOIN pg_trigger t ON t.tgfoid = p.oid
     WHERE p.proname LIKE 'pgtrigger\_%%' AND t.oid IS NULL
"""


class Yes(MigrationQuestioner):
    """Renames whatever may have been renamed."""

    def ask_initial(self, app_label):
        return True

    def ask_rename(self, *args):
        return True

    def ask_rename_model(self, *args):
        return True


class Executor(MigrationExecutor):
    """Django's executor, for migrations that are in no file."""

    def __init__(self, connection, graph):
        self.connection = connection
        self.loader = MigrationLoader(None, load=False)
        self.loader.graph = graph
        self.loader.unmigrated_apps = set()
        self.loader.replacements = {}
        self.loader.disk_migrations = graph.nodes
        self.recorder = MigrationRecorder(connection)
        self.progress_callback = None
        self.loader.applied_migrations = self.recorder.applied_migrations()


def split(db_table):
    """Schema and name of a table, as Postgres has them."""
    quoted = re.fullmatch(r'"(.+)"\."(.+)"', db_table)
    return quoted.groups() if quoted else (SCHEMA, db_table)


def quoted(schema, name):
    return f'"{schema}"."{name}"'


def pgid(model, name, part=""):
    """The name of a trigger in Postgres, by the rule that existing installations follow."""
    uri = f"{model._meta.app_label}.{model._meta.object_name}:{name}" + (part and f"#{part}")
    return f"pgtrigger_{name}_{hashlib.sha1(uri.encode()).hexdigest()[:5]}".lower()


class History:
    """The versions of a project's models, of which the database has one.

    Args:
        atomic: whether the migrations are.
    """

    def __init__(self, *, atomic=True):
        self.atomic = atomic
        self.graph = MigrationGraph()
        self.versions = [()]
        self.leaves = [{}]
        self.at = 0
        self.states = {}  # of the triggers that somebody has disabled, by name

    @property
    def connection(self):
        return connections["default"]

    def sql(self, query, params=None):
        with self.connection.cursor() as cursor:
            cursor.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    # What a user does.

    def declare(self, *model_states, migrate=True):
        """The next version of the models, with migrations as makemigrations writes them."""
        self.add(model_states, self._makemigrations(model_states))
        if migrate:
            self.migrate(len(self.versions) - 1)

    def add(self, model_states, new):
        """The next version of the models, with these migrations."""
        for migration in new:
            migration.atomic = self.atomic
            self.graph.add_node((migration.app_label, migration.name), migration)
        for migration in new:
            key = migration.app_label, migration.name
            for parent in migration.dependencies:
                found = self.graph.root_nodes(parent[0])[0] if parent[1][0] == "_" else parent
                self.graph.add_dependency(migration, key, found)
        self.versions.append(model_states)
        self.leaves.append(dict(self.graph.leaf_nodes()))

    def _makemigrations(self, model_states):
        before = self.graph.make_state(nodes=self.graph.leaf_nodes(), real_apps=set())
        found = Autodetector(before, project(model_states), Yes()).changes(graph=self.graph)
        return [written(migration) for app in sorted(found) for migration in found[app]]

    def next_operations(self, *model_states):
        """The operations that makemigrations would write now, by app."""
        return {m.app_label: m.operations for m in self._makemigrations(model_states)}

    def migrate(self, version):
        """Bring the database to a version of the models."""
        apps = {app for app, _ in self.graph.nodes}
        targets = [(app, self.leaves[version].get(app)) for app in sorted(apps)]
        Executor(self.connection, self.graph).migrate(targets)
        step = 1 if version > self.at else -1
        for passed in range(self.at, version + step, step):
            there = {t.name for s in self.versions[passed] for t in s.options.get("triggers", ())}
            self.states = {name: s for name, s in self.states.items() if name in there}
        self.at = version

    def set_states(self, state):
        """Disable all triggers, or have them fire always or on replicas, as somebody would."""
        for model, trigger in self.declared():
            table = quoted(*split(model._meta.db_table))
            for name in self.pgids(model, trigger):
                self.sql(f'ALTER TABLE {table} {STATES[state]} "{name}"')
            self.states[trigger.name] = state

    # What must be.

    def declared(self):
        """The models and triggers of the version that the database has."""
        apps = project(self.versions[self.at]).apps
        for state in self.versions[self.at]:
            for trigger in state.options.get("triggers", ()):
                yield apps.get_model(state.app_label, state.name), trigger

    def pgids(self, model, trigger):
        parts = trigger.compile(model).parts
        further = [part.operation.lower() for part in parts[1:]]
        return [pgid(model, trigger.name), *(pgid(model, trigger.name, p) for p in further)]

    def catalog(self):
        return self.sql(TRIGGERS, [[*SCHEMAS]])

    def check(self, *, fires=True, at=None):
        """Exactly the declared triggers are in the database, in the state that they were in.

        Args:
            fires: whether to see each trigger fire, too.
            at: the version that the database still has, because migrating failed.
        """
        self.at = self.at if at is None else at
        pairs = [*self.declared()]
        expected = {
            (*split(model._meta.db_table), name): (
                self.states.get(trigger.name, "O"),
                trigger.timing is not None,
                str(trigger.timing) == "DEFERRED",
            )
            for model, trigger in pairs
            for name in self.pgids(model, trigger)
        }
        found = self.catalog()
        assert {row[:3]: row[3:6] for row in found} == expected
        assert self.sql(LEFT_OVER) == []
        for model, trigger in pairs:
            enabled = self.states.get(trigger.name, "O") in ("O", "A")
            assert trigger.get_installation_status(model) == ("INSTALLED", enabled), trigger
        if self.at == len(self.versions) - 1:
            assert self.next_operations(*self.versions[self.at]) == {}
        self._check_definitions(pairs, found)
        if fires:
            tables = dict.fromkeys(model._meta.concrete_model for model, _ in pairs)
            for table in tables:
                triggers = [t for model, t in pairs if model._meta.concrete_model is table]
                if table._meta.managed:
                    self._check_firing(table, triggers)

    def _check_definitions(self, pairs, found):
        """Installing what is declared from nothing would make no difference."""
        with transaction.atomic():
            for model, trigger in pairs:
                schema, name = split(model._meta.db_table)
                for each in self.pgids(model, trigger):
                    self.sql(f'DROP TRIGGER "{each}" ON {quoted(schema, name)}')
                for statement in trigger.compile(model).install_sql(model._meta.db_table, schema):
                    self.sql(statement)
            fresh = self.catalog()
            transaction.set_rollback(True)
        enabled = [(*row[:3], *row[4:]) for row in found]
        assert enabled == [(*row[:3], *row[4:]) for row in fresh]

    def _check_firing(self, model, triggers):
        """Changing the first field of a model fires the triggers that are enabled."""
        field = next(f for f in model._meta.local_concrete_fields if not f.primary_key)
        one, five = ("1", "5") if isinstance(field, models.CharField | models.TextField) else (1, 5)
        # A session that has fired a trigger before keeps plans for the columns as they were.
        self.sql("DISCARD PLANS")
        with transaction.atomic():
            row = model.objects.create(pk=77, **{field.name: one})
            self.sql("SET CONSTRAINTS ALL IMMEDIATE")
            self.sql("SET CONSTRAINTS ALL DEFERRED")
            self.sql(f"DELETE FROM {SCHEMA}.fired")
            model.objects.filter(pk=row.pk).update(**{field.name: five})
            constraints = {trigger.name for trigger in triggers if trigger.timing}
            assert not constraints & {*self.fired()}
            self.sql("SET CONSTRAINTS ALL IMMEDIATE")
            fired = self.fired()
            transaction.set_rollback(True)
        enabled = [t.name for t in triggers if self.states.get(t.name, "O") in ("O", "A")]
        assert Counter(fired) == Counter(enabled)

    def fired(self):
        return [name for (name,) in self.sql(f"SELECT name FROM {SCHEMA}.fired")]


def project(model_states):
    state = ProjectState(real_apps=set())
    for model_state in model_states:
        copy = model_state.clone()
        # The autodetector writes into fields that point to renamed models.
        copy.fields = {name: field.clone() for name, field in copy.fields.items()}
        state.add_model(copy)
    return state


def written(migration):
    """A migration as its file would have it."""
    namespace = {}
    exec(MigrationWriter(migration, include_header=False).as_string(), namespace)
    return namespace["Migration"](migration.name, migration.app_label)


def migration(app_label, name, operations, dependencies=()):
    """A migration as somebody writes it."""
    new = migrations.Migration(name, app_label)
    new.operations, new.dependencies = [*operations], [*dependencies]
    return written(new)
