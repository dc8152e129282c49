"""The fixture that the other end-to-end tests stand on."""

import pytest


def test_a_project_migrates_its_models_and_answers_sql(project):
    project.models(
        """
        class Page(models.Model):
            title = models.TextField()
        """
    )
    project.manage("makemigrations", "app")
    project.manage("migrate", "app")
    assert project.migrations() == ["0001_initial"]
    project.sql("INSERT INTO app_page (title) VALUES (%s)", ["50 %"])
    assert project.sql("SELECT title FROM app_page WHERE title LIKE '50 %'") == [("50 %",)]


def test_a_command_that_fails_shows_its_output(project):
    with pytest.raises(AssertionError, match="Unknown command: 'nothing'"):
        project.manage("nothing")
    assert "Unknown command" in project.manage("nothing", exits=1).stderr
