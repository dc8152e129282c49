"""``manage.py pgtrigger graph``."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, ClassVar

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from pgtrigger_fsm.drawing import svg
from pgtrigger_fsm.graph import Graph, graph_of
from pgtrigger_fsm.machine import machine_of

FORMATS = {"mermaid": Graph.mermaid, "dot": Graph.dot, "svg": svg}


class GraphMachine:
    """Draw the machine of a model."""

    name: ClassVar[str] = "graph"
    help: ClassVar[str] = "Draw the states and transitions of an FSM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", help='The model, such as "app_label.Model".')
        parser.add_argument("--field", help="The field with the state, where there are several.")
        parser.add_argument("--name", help="The trigger's name, where a field has several.")
        parser.add_argument(
            "--format", choices=FORMATS, default="mermaid", help="mermaid by default."
        )
        parser.add_argument(
            "-o", "--output", type=Path, help="The file to write; standard output by default."
        )

    def handle(self, command: BaseCommand, **options: Any) -> None:
        try:
            model = apps.get_model(options["model"])
        except (LookupError, ValueError) as error:
            raise CommandError(
                f'{error} Name the model as "app_label.Model"; got {options["model"]!r}.'
            ) from error
        machine = machine_of(model, options["field"], options["name"])
        text = FORMATS[options["format"]](graph_of(machine))
        output: Path | None = options["output"]
        if output is None:
            command.stdout.write(text, ending="")
        else:
            output.write_text(text, encoding="utf-8")
