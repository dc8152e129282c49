"""System checks as a project meets them."""

import re

import pytest

ARTICLE = """
    class Article(models.Model):
        title = models.TextField()
"""
META = """
    class Article(models.Model):
        title = models.TextField()

        class Meta:
            triggers = [
                pgtrigger.Trigger(
                    name="keep", when=pgtrigger.Before, operation=pgtrigger.Update,
                    func="RETURN NEW;",
                )
            ]
"""
REGISTER = """
    @pgtrigger.register(
        pgtrigger.Trigger(
            name="keep", when=pgtrigger.Before, operation=pgtrigger.Update, func="RETURN NEW;"
        )
    )
    class Article(models.Model):
        title = models.TextField()
"""


def without_the_app(project):
    settings = project.directory / "settings.py"
    text = settings.read_text()
    assert '"pgtrigger",\n' in text
    settings.write_text(re.sub(r' *"pgtrigger",\n', "", text))


@pytest.mark.slow
@pytest.mark.parametrize("source", [META, REGISTER], ids=["meta", "register"])
def test_a_project_without_the_app_is_told_so_before_anything_is_made(project, source):
    without_the_app(project)
    project.models(source)
    for command in (["check"], ["makemigrations", "app"], ["migrate"]):
        said = project.manage(*command, exits=1).stderr
        assert "(pgtrigger.E005) Triggers are declared on app.Article" in said
        assert 'Add "pgtrigger" to INSTALLED_APPS' in said
    assert project.migrations() == []
    with (project.directory / "settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS.append('pgtrigger')\n")
    assert "no issues" in project.manage("check").stdout
    project.manage("makemigrations", "app")
    project.manage("migrate")


def test_migrations_of_a_project_that_silences_the_missing_app_know_no_triggers(project):
    without_the_app(project)
    project.settings('SILENCED_SYSTEM_CHECKS = ["pgtrigger.E005"]')
    project.models(META)
    project.manage("makemigrations", "app")
    (file,) = (project.directory / "app/migrations").glob("0001*.py")
    assert "triggers" not in file.read_text()
    project.manage("migrate")


def test_a_project_without_triggers_and_the_app_has_nothing_to_hear(project):
    without_the_app(project)
    project.models(ARTICLE)
    assert "no issues" in project.manage("check").stdout


@pytest.mark.slow
def test_migrate_says_nothing_of_what_it_brings_and_check_does(project):
    project.models(META)
    project.manage("makemigrations", "app")
    before = project.manage("check", "--database", "default").stderr
    assert "(pgtrigger.W005)" in before
    assert "app.Article:keep (UNINSTALLED)" in before
    run = project.manage("migrate")
    assert "W005" not in run.stdout + run.stderr
    assert "no issues" in project.manage("check", "--database", "default").stdout
    project.manage("pgtrigger", "disable")
    said = project.manage("check", "--database", "default").stderr
    assert "1 DISABLED" in said
    assert "no issues" in project.manage("check").stdout
    project.settings('SILENCED_SYSTEM_CHECKS = ["pgtrigger.W005"]')
    assert "1 silenced" in project.manage("check", "--database", "default").stdout


def test_a_server_that_is_away_does_not_break_the_check(project):
    project.models(META)
    away = "postgresql://nobody@127.0.0.1:1/nothing"
    result = project.manage("check", "--database", "default", DATABASE_URL=away)
    assert "no issues" in result.stdout
