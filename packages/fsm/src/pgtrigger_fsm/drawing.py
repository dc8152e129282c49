"""A graph as a picture: SVG, without any other program."""

from __future__ import annotations

from itertools import pairwise
from xml.sax.saxutils import escape

from pgtrigger_fsm.graph import START, WILDCARD, Graph, Node
from pgtrigger_fsm.layout import LOOP_HEIGHT, Box, Edge, Layout

STYLE = """\
text { font-family: system-ui, sans-serif; text-anchor: middle; fill: #1e293b; }
.state rect, .any rect { fill: #eef2ff; stroke: #4f46e5; stroke-width: 1.5; }
.any rect { fill: #ffffff; stroke-dasharray: 5 4; }
.state text, .any text { font-size: 14px; }
.edge path { fill: none; stroke: #64748b; stroke-width: 1.5; }
.edge text { font-size: 12px; fill: #334155; }
.start { fill: #1e293b; }
"""
ARROW = (
    '<marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M 0 1 L 10 5 L 0 9 z" fill="#64748b"/></marker>'
)


def svg(graph: Graph) -> str:
    """Draw a graph, and return the text of an SVG file."""
    layout = Layout(graph)
    width, height = _number(layout.width), _number(layout.height)
    size, box = f'width="{width}" height="{height}"', f'viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img">',
        f"<title>{_text(graph.title)}</title>",
        f"<style>\n{STYLE}</style>",
        f"<defs>{ARROW}</defs>",
        f'<rect {size} rx="8" fill="#ffffff"/>',
    ]
    lines += [_edge(layout, edge) for edge in graph.edges]
    lines += [_node(node, box) for node, box in zip(graph.nodes, layout.boxes, strict=False)]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _node(node: Node, box: Box) -> str:
    if node.kind == START:
        return f'<circle class="start" cx="{_number(box.x)}" cy="{_number(box.y)}" r="7"/>'
    kind = "any" if node.kind == WILDCARD else "state"
    inner = _rectangle(box, inset=4) if node.final else ""
    return (
        f'<g class="{kind}">{_rectangle(box)}{inner}'
        f'<text x="{_number(box.x)}" y="{_number(box.y + 5)}">{_text(node.text)}</text></g>'
    )


def _rectangle(box: Box, inset: float = 0) -> str:
    width, height = box.width - 2 * inset, box.height - 2 * inset
    return (
        f'<rect x="{_number(box.x - width / 2)}" y="{_number(box.y - height / 2)}" '
        f'width="{_number(width)}" height="{_number(height)}" rx="{_number(9 - inset)}"/>'
    )


def _edge(layout: Layout, edge: Edge) -> str:
    path = _loop(layout.boxes[edge[0]]) if edge[0] == edge[1] else _curve(layout.points(edge))
    label = layout.graph.label(edge)
    text = ""
    if label:
        x, y = layout.label_place(edge)
        text = f'<text x="{_number(x)}" y="{_number(y)}">{_text(label)}</text>'
    return f'<g class="edge"><path d="{path}" marker-end="url(#arrow)"/>{text}</g>'


def _loop(box: Box) -> str:
    top, height = box.y - box.height / 2, LOOP_HEIGHT - 8
    left, right = box.x - 14, box.x + 14
    return (
        f"M {_number(left)} {_number(top)} C {_number(left - 8)} {_number(top - height)} "
        f"{_number(right + 8)} {_number(top - height)} {_number(right)} {_number(top)}"
    )


def _curve(points: list[tuple[float, float]]) -> str:
    path = f"M {_number(points[0][0])} {_number(points[0][1])}"
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = _number((x + to_x) / 2)
        path += f" C {middle} {_number(y)} {middle} {_number(to_y)} {_number(to_x)} {_number(to_y)}"
    return path


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    # XML has no place for most control characters, not even escaped.
    return escape("".join(letter if letter.isprintable() else " " for letter in text))
