"""Where the nodes and edges of a graph are drawn: in layers, from left to right.

The layers of states take turns with layers of labels, so that no label can lie on another.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from pgtrigger_fsm.graph import START, Graph

NODE_HEIGHT, LABEL_HEIGHT, LOOP_HEIGHT = 36.0, 24.0, 34.0
GAP_X, GAP_Y, PORT_GAP, MARGIN = 26.0, 16.0, 14.0, 16.0
SWEEPS = 12

Edge = tuple[int, int]


@dataclass
class Box:
    """A node, or the place of a label, by its centre."""

    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    loop: float = 0.0  # what a loop takes above it


@dataclass
class Layout:
    """The layout of a graph.

    Args:
        graph: nothing else; all attributes follow from it.
    """

    graph: Graph
    boxes: list[Box] = field(default_factory=list)
    chains: dict[Edge, list[int]] = field(default_factory=dict)
    layers: list[list[int]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        # The left and the right end of each edge that is no loop.
        self._ends: dict[Edge, Edge] = {}
        self._measure()
        self._assign_layers()
        self._insert_labels()
        self._order()
        self._place()

    def points(self, edge: Edge) -> list[tuple[float, float]]:
        """The corners that an edge passes, from its source to its target."""
        chain = self.chains[edge]
        points = []
        for place, number in enumerate(chain):
            box = self.boxes[number]
            half = box.width / 2
            if place > 0:
                points.append((box.x - half, box.y + self._port(number, edge, left=True)))
            if place < len(chain) - 1:
                points.append((box.x + half, box.y + self._port(number, edge, left=False)))
        return points if self._ends[edge] == edge else points[::-1]

    def label_place(self, edge: Edge) -> tuple[float, float]:
        """The middle of an edge's label, just above its line."""
        source, target = edge
        if source == target:
            box = self.boxes[source]
            return box.x, box.y - box.height / 2 - LOOP_HEIGHT + 4
        box = self.boxes[self._label_box(edge)]
        return box.x, box.y - 5

    def _label_box(self, edge: Edge) -> int:
        return self.chains[edge][1 if self._ends[edge] == edge else -2]

    def _measure(self) -> None:
        for node in self.graph.nodes:
            if node.kind == START:
                self.boxes.append(Box(14, 14))
            else:
                self.boxes.append(Box(max(56.0, text_width(node.text, 14) + 28), NODE_HEIGHT))
        for source, target in self.graph.edges:
            if source == target:
                box = self.boxes[source]
                box.loop = LOOP_HEIGHT
                box.width = max(box.width, text_width(self.graph.label((source, target)), 12))

    def _assign_layers(self) -> None:
        """Turn round the edges that close a circle; then what follows is further to the right."""
        following: dict[int, list[int]] = defaultdict(list)
        for source, target in self.graph.edges:
            if source != target:
                following[source].append(target)
        finished: list[int] = []
        open_now: set[int] = set()

        def visit(number: int) -> None:
            open_now.add(number)
            for target in following[number]:
                closes = target in open_now
                self._ends[number, target] = (target, number) if closes else (number, target)
                if not closes and target not in finished:
                    visit(target)
            open_now.discard(number)
            finished.append(number)

        for number in range(len(self.boxes)):
            if number not in finished:
                visit(number)
        for number in reversed(finished):
            for left, right in self._ends.values():
                if left == number:
                    layer = self.boxes[number].layer + 2
                    self.boxes[right].layer = max(self.boxes[right].layer, layer)
        # What nothing leads to, such as "any state", stands just before what it leads to.
        arrived = {right for _, right in self._ends.values()}
        for number in finished:
            if number not in arrived:
                after = [
                    self.boxes[right].layer for left, right in self._ends.values() if left == number
                ]
                self.boxes[number].layer = min(after, default=2) - 2

    def _insert_labels(self) -> None:
        for edge, (left, right) in self._ends.items():
            between = range(self.boxes[left].layer + 1, self.boxes[right].layer)
            places = [len(self.boxes) + place for place in range(len(between))]
            self.boxes += [Box(0, GAP_Y / 2, layer) for layer in between]
            self.chains[edge] = [left, *places, right]
            if label := self.graph.label(edge):
                box = self.boxes[self._label_box(edge)]
                box.width, box.height = text_width(label, 12) + 8, LABEL_HEIGHT
        for place in (0, 1):
            ports = Counter(ends[place] for ends in self._ends.values())
            for number, count in ports.items():
                if self.graph.nodes[number].kind != START:
                    box = self.boxes[number]
                    box.height = max(box.height, (count - 1) * PORT_GAP + 22)
        for number, box in enumerate(self.boxes):
            while len(self.layers) <= box.layer:
                self.layers.append([])
            self.layers[box.layer].append(number)

    def _neighbours(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        before: dict[int, list[int]] = defaultdict(list)
        after: dict[int, list[int]] = defaultdict(list)
        for chain in self.chains.values():
            for left, right in pairwise(chain):
                before[right].append(left)
                after[left].append(right)
        return before, after

    def _order(self) -> None:
        """Order the layers by the middle of their neighbours, back and forth; keep the best."""
        before, after = self._neighbours()
        best, fewest = [[*layer] for layer in self.layers], self._crossings(after)
        for sweep in range(SWEEPS):
            rightwards = sweep % 2 == 0
            neighbours = before if rightwards else after
            for layer in self.layers if rightwards else self.layers[::-1]:
                place = {n: p for other in self.layers for p, n in enumerate(other)}
                own = {n: p for p, n in enumerate(layer)}
                layer.sort(key=lambda n: fmean([place[m] for m in neighbours[n]] or [own[n]]))
            crossings = self._crossings(after)
            if crossings < fewest:
                best, fewest = [[*layer] for layer in self.layers], crossings
        self.layers = best

    def _crossings(self, after: dict[int, list[int]]) -> int:
        place = {n: p for layer in self.layers for p, n in enumerate(layer)}
        count = 0
        for layer in self.layers:
            lines = [(place[left], place[right]) for left in layer for right in after[left]]
            count += sum(
                (a < c and b > d) or (a > c and b < d)
                for index, (a, b) in enumerate(lines)
                for c, d in lines[:index]
            )
        return count

    def _place(self) -> None:
        right = MARGIN
        for layer in self.layers:
            width = max((self.boxes[n].width for n in layer), default=0)
            for number in layer:
                self.boxes[number].x = right + width / 2
            right += width + GAP_X
        self.width = right - GAP_X + MARGIN
        before, after = self._neighbours()
        for layer in self.layers:
            self._align(layer, dict.fromkeys(layer, 0.0))
        for sweep in range(SWEEPS):
            rightwards = sweep % 2 == 0
            neighbours = before if rightwards else after
            for layer in self.layers if rightwards else self.layers[::-1]:
                self._align(
                    layer,
                    {
                        n: fmean([self.boxes[m].y for m in neighbours[n]] or [self.boxes[n].y])
                        for n in layer
                    },
                )
        top = min(box.y - box.height / 2 - box.loop for box in self.boxes) - MARGIN
        for box in self.boxes:
            box.y -= top
        self.height = max(box.y + box.height / 2 for box in self.boxes) + MARGIN

    def _align(self, layer: list[int], wanted: dict[int, float]) -> None:
        """Put the boxes of a layer where they are wanted, as near as their sizes let them."""
        boxes = [self.boxes[number] for number in layer]
        apart = [
            upper.height / 2 + GAP_Y + lower.loop + lower.height / 2
            for upper, lower in pairwise(boxes)
        ]
        pushed = [wanted[number] for number in layer]
        lifted = [*pushed]
        for index, distance in enumerate(apart):
            pushed[index + 1] = max(pushed[index + 1], pushed[index] + distance)
        for index, distance in reversed([*enumerate(apart)]):
            lifted[index] = min(lifted[index], lifted[index + 1] - distance)
        for box, low, high in zip(boxes, pushed, lifted, strict=True):
            box.y = (low + high) / 2

    def _port(self, number: int, edge: Edge, *, left: bool) -> float:
        """How far from the middle of a box an edge begins or ends."""
        if number >= len(self.graph.nodes) or self.graph.nodes[number].kind == START:
            return 0.0
        there = [
            (self.boxes[chain[-2 if left else 1]].y, other)
            for other, chain in self.chains.items()
            if chain[-1 if left else 0] == number
        ]
        place = [other for _, other in sorted(there)].index(edge)
        return (place - (len(there) - 1) / 2) * PORT_GAP


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in pixels."""
    wide = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return wide * size * 0.58
