"""From declaration to database, as a project's developers go: makemigrations, migrate, ls."""

import pytest

SHOP = """
    class Order(models.Model):
        status = models.CharField(max_length=20, default="draft")
        total = models.IntegerField(default=0)
        version = models.IntegerField(default=0)

        class Meta:
            triggers = [
                pgtrigger.Protect(
                    name="protect_sent",
                    operation=pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate,
                    condition=pgtrigger.Q(old__status="sent"),
                ),
                pgtrigger.Trigger(
                    name="version",
                    when=pgtrigger.Before,
                    operation=pgtrigger.Update,
                    condition=pgtrigger.AnyChange("total"),
                    func="NEW.version = NEW.version + 1; RETURN NEW;",
                ),
            ]
"""

TRIGGERS = """
    SELECT c.relname, t.tgname, p.proname, t.tgenabled
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE NOT t.tgisinternal ORDER BY 1, 2
"""
FUNCTIONS = "SELECT proname FROM pg_proc WHERE proname LIKE 'pgtrigger%' ORDER BY 1"


def names(project):
    return [(table, name.rsplit("_", 1)[0]) for table, name, *_ in project.sql(TRIGGERS)]


def test_a_declaration_goes_to_the_database_and_back(project):
    project.models(SHOP)
    project.manage("makemigrations")
    assert project.migrations() == ["0001_initial"]
    project.manage("makemigrations", "--check")
    project.manage("migrate")

    # Two declarations: two functions; and three Postgres triggers, because TRUNCATE is a statement.
    assert names(project) == [
        ("app_order", "pgtrigger_protect_sent"),
        ("app_order", "pgtrigger_protect_sent"),
        ("app_order", "pgtrigger_version"),
    ]
    functions = {row[0] for row in project.sql(FUNCTIONS)}
    assert functions == {function for *_, function, _ in project.sql(TRIGGERS)}
    assert len(functions) == 2
    assert project.manage("pgtrigger", "ls").stdout.splitlines() == [
        "INSTALLED   ENABLED  app.Order:protect_sent",
        "INSTALLED   ENABLED  app.Order:version",
    ]

    project.sql("INSERT INTO app_order (status, total, version) VALUES ('draft', 1, 0)")
    project.sql("UPDATE app_order SET total = 2")
    assert project.sql("SELECT total, version FROM app_order") == [(2, 1)]
    project.sql("UPDATE app_order SET status = 'sent'")
    for statement in (
        "UPDATE app_order SET total = 3",
        "DELETE FROM app_order",
        "TRUNCATE app_order",
    ):
        with pytest.raises(Exception, match=r"pgtrigger: Cannot .* rows from app_order table"):
            project.sql(statement)

    project.manage("migrate", "app", "zero")
    assert names(project) == []
    assert project.sql(FUNCTIONS) == []
    project.manage("migrate")
    assert len(names(project)) == 3


@pytest.mark.slow
def test_each_change_of_a_trigger_is_one_migration_and_reverses(project):
    project.models(SHOP)
    project.manage("makemigrations")
    project.manage("migrate")
    before = project.sql(TRIGGERS)

    project.models(SHOP.replace("NEW.version + 1", "NEW.version + 10"))
    project.manage("makemigrations")
    assert project.migrations()[1:] == ["0002_alter_order_version"]
    sql = project.manage("sqlmigrate", "app", "0002").stdout
    assert "CREATE OR REPLACE FUNCTION" in sql
    assert "app_order" not in sql  # no statement names the table, so none locks it
    project.manage("migrate")
    assert project.sql(TRIGGERS) == before

    project.models(SHOP.replace('AnyChange("total")', "AnyChange()"))
    project.manage("makemigrations")
    project.manage("migrate")
    project.manage("makemigrations", "--check")
    project.manage("migrate", "app", "0001")
    assert project.sql(TRIGGERS) == before
    project.sql("INSERT INTO app_order (status, total, version) VALUES ('draft', 1, 0)")
    project.sql("UPDATE app_order SET total = 2")
    assert project.sql("SELECT version FROM app_order") == [(1,)]


def test_white_space_in_a_body_makes_no_migration(project):
    project.models(SHOP)
    project.manage("makemigrations")
    project.models(SHOP.replace("+ 1; RETURN NEW;", "+  1;\\n   RETURN NEW;"))
    project.manage("makemigrations", "--check")


def test_makemigrations_and_check_need_no_database(project):
    project.models(SHOP)
    nowhere = "postgresql://nobody@/nothing?host=/nonexistent"
    # Django itself warns when it cannot check the history of migrations.
    project.settings("import warnings; warnings.simplefilter('ignore', RuntimeWarning)")
    project.manage("makemigrations", DATABASE_URL=nowhere)
    assert project.migrations() == ["0001_initial"]
    project.manage("check", DATABASE_URL=nowhere)


@pytest.mark.slow
def test_unknown_fields_are_found_by_check_and_nothing_is_installed(project):
    project.models(SHOP.replace('AnyChange("total")', 'AnyChange("totl")'))
    result = project.manage("check", exits=1)
    assert "pgtrigger.E001" in result.stderr
    assert 'Model "app.Order" has no field "totl"' in result.stderr
    assert "total" in result.stderr
    assert project.manage("makemigrations", exits=None).returncode != 0
    assert project.migrations() == []


def test_a_wrong_uri_is_one_line_and_exit_code_one(project):
    project.models(SHOP)
    for uri, message in (
        ("app.Order", 'must be in the format of "app_label.model_name:trigger_name"'),
        ("app.Order:missing", 'URI "app.Order:missing" not found'),
    ):
        result = project.manage("pgtrigger", "install", uri, exits=1)
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_installing_before_the_table_exists_says_so_and_changes_nothing(project):
    project.models(SHOP)
    result = project.manage("pgtrigger", "install", exits=1)
    assert 'no table "app_order"' in result.stderr
    assert "Run migrate first" in result.stderr
    assert project.sql(FUNCTIONS) == []


@pytest.mark.slow
def test_a_broken_function_leaves_nothing_half_installed(project):
    project.models(SHOP.replace("NEW.version + 1; RETURN NEW;", "NEW.version + ; RETURN NEW;"))
    project.manage("makemigrations")
    result = project.manage("migrate", exits=1)
    assert "syntax error" in result.stderr
    assert names(project) == []
    assert project.sql(FUNCTIONS) == []


@pytest.mark.slow
def test_two_thousand_models_may_share_a_trigger_name(project):
    project.models("""
        def make(number):
            attrs = {"__module__": __name__, "Meta": type("Meta", (), {"triggers": [
                pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]})}
            return type(f"Model{number}", (models.Model,), attrs)

        for number in range(2000):
            make(number)
    """)
    code = (
        "import django; django.setup(); import pgtrigger; "
        "print(len({t.compile(m).function for m, t in pgtrigger.registered()}))"
    )
    assert project.python("-c", code).stdout.strip() == "2000"
