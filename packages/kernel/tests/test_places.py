"""pgtrigger.places: where a trigger is declared."""

import re
from pathlib import Path

import pytest
from django.apps.registry import Apps
from django.db import models

import pgtrigger
from pgtrigger.places import Place, place_of
from shop.database import noop
from shop.models import Product

HERE = Path(__file__)


class Stamped(models.Model):
    class Meta:
        abstract = True
        triggers = [noop(name="of-the-base")]


class Page(Stamped):
    class Meta(Stamped.Meta):
        app_label = "places"
        apps = Apps()
        triggers = [
            *Stamped.Meta.triggers,
            noop(
                name="of-the-page",
            ),
        ]


@pgtrigger.register(noop(name="decorating"))
class Decorated(models.Model):
    class Meta:
        app_label = "places"
        apps = Apps()


# Only the place matters, and there is no such table: other tests install all that is registered.
for declared in [*Decorated._meta.triggers]:
    declared.unregister(Decorated)


def line_of(text):
    [number] = [
        number for number, line in enumerate(HERE.read_text().splitlines(), 1)
        if re.search(text, line) and "line_of" not in line
    ]  # fmt: skip
    return number


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("of-the-page", r"^            noop\("),
        ("of-the-base", r"^        triggers = .noop\("),
    ],
)
def test_it_is_the_line_of_the_call(name, text):
    [trigger] = [trigger for trigger in Page._meta.triggers if trigger.name == name]
    assert place_of(Page, trigger) == Place(str(HERE), line_of(text))


def test_a_decorator_counts():
    place = place_of(Decorated, noop("decorating"))
    assert place == Place(str(HERE), line_of('^@pgtrigger.register.noop.name="decorating"'))


def test_otherwise_it_is_the_line_of_the_model():
    assert place_of(Page, noop("unknown")) == Place(str(HERE), line_of(r"^class Page\("))


def test_a_model_without_a_source_has_no_place():
    meta = type("Meta", (), {"app_label": "places", "apps": Apps()})
    made = type("Made", (models.Model,), {"__module__": "nowhere", "Meta": meta})
    assert place_of(made, noop()) is None


def test_it_is_shown_from_the_current_directory(monkeypatch, tmp_path):
    place = place_of(Product, noop())
    monkeypatch.chdir(Path(place.file).parent)
    assert str(place) == f"models.py:{place.line}"
    monkeypatch.chdir(tmp_path)
    assert str(place) == f"{place.file}:{place.line}"
