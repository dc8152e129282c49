"""A machine as a graph, and the graph as text for Mermaid and Graphviz."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pgtrigger_fsm.machine import Machine
from pgtrigger_fsm.transitions import Transition, Wildcard

START, STATE, WILDCARD = "start", "state", "any"


@dataclass(frozen=True)
class Node:
    """A state; the dot where rows begin; or "any state", which stands for all of them."""

    text: str
    kind: str = STATE
    final: bool = False


@dataclass
class Graph:
    """Nodes, and edges from node to node by their numbers, with labels.

    Args:
        title: what it shows.
        nodes: a node's number is its place here.
        edges: labels by source and target.
    """

    title: str
    nodes: list[Node] = field(default_factory=list)
    edges: dict[tuple[int, int], list[str]] = field(default_factory=dict)

    def connect(self, source: int, target: int, label: str = "") -> None:
        """Add an edge; those between the same nodes become one with several labels."""
        labels = self.edges.setdefault((source, target), [])
        if label and label not in labels:
            labels.append(label)

    def label(self, edge: tuple[int, int]) -> str:
        """The labels of an edge in one line."""
        return ", ".join(self.edges[edge])

    def mermaid(self) -> str:
        """The text of a Mermaid state diagram."""
        lines = ["stateDiagram-v2", "    direction LR"]
        for number, node in enumerate(self.nodes):
            if node.kind != START:
                lines.append(f'    state "{_mermaid(node.text)}" as s{number}')
        for (source, target), labels in self.edges.items():
            begin = "[*]" if self.nodes[source].kind == START else f"s{source}"
            label = f" : {_mermaid(', '.join(labels))}" if labels else ""
            lines.append(f"    {begin} --> s{target}{label}")
        lines += [f"    s{n} --> [*]" for n, node in enumerate(self.nodes) if node.final]
        return "\n".join(lines) + "\n"

    def dot(self) -> str:
        """The text of a directed graph for Graphviz."""
        lines = [f"digraph {_dot(self.title)} {{", "    rankdir=LR;"]
        for number, node in enumerate(self.nodes):
            match node.kind:
                case "start":
                    looks = 'shape=point, width=0.15, label=""'
                case "any":
                    looks = f'shape=box, style="rounded,dashed", label={_dot(node.text)}'
                case _:
                    peripheries = ", peripheries=2" if node.final else ""
                    looks = f"shape=box, style=rounded{peripheries}, label={_dot(node.text)}"
            lines.append(f"    s{number} [{looks}];")
        for (source, target), labels in self.edges.items():
            label = f" [label={_dot(', '.join(labels))}]" if labels else ""
            lines.append(f"    s{source} -> s{target}{label};")
        return "\n".join([*lines, "}"]) + "\n"


def graph_of(machine: Machine) -> Graph:
    """The graph of a machine: where rows begin, its states, and what leads from state to state."""
    state, trigger = machine.state, machine.trigger
    graph = Graph(f"{machine.model._meta.label}.{trigger.field}")
    states = machine.states()
    starts = [value for value in machine.starts() if value in states]
    if starts:
        graph.nodes.append(Node("", START))
    first = len(graph.nodes)
    for value in states:
        leaves = any(t.target != value for t in machine.transitions_from(value))
        graph.nodes.append(Node(state.text(value), final=not leaves))
    for value in starts:
        graph.connect(0, first + states.index(value))

    def numbers(side: Any) -> list[int]:
        if isinstance(side, Wildcard):
            everything = Node("any state", WILDCARD)
            if everything not in graph.nodes:
                graph.nodes.append(everything)
            return [graph.nodes.index(everything)]
        return [first + states.index(state.value(member)) for member in side]

    for transition in trigger.get_transitions():
        for source in numbers(transition.sources):
            for target in numbers(transition.targets):
                graph.connect(source, target, _label(transition))
    return graph


def _label(transition: Transition) -> str:
    guard = "[condition]" if transition.condition is not None else ""
    return f"{transition.name or ''} {guard}".strip()


def _mermaid(text: str) -> str:
    # Mermaid knows no escapes, but entities.
    return re.sub(r"[^\w .,()\[\]-]", lambda match: f"#{ord(match[0])};", text)


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
