"""pgtrigger_fsm.graph, layout, drawing and subcommands: pictures of a machine."""

import io
import itertools
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

import pgtrigger
from pgtrigger_fsm import ANY, FSM, MachineNotFoundError, Transition
from pgtrigger_fsm.drawing import svg
from pgtrigger_fsm.graph import START, Graph, Node, graph_of
from pgtrigger_fsm.layout import LABEL_HEIGHT, Layout, text_width
from pgtrigger_fsm.machine import Machine
from workflow.models import Document

SVG = "{http://www.w3.org/2000/svg}"
FLOW = [
    Transition("draft", "sent", name="send", condition=pgtrigger.Q(new__amount__gt=0)),
    ("draft", "sent"),
    Transition("draft", "sent", name="post"),
    Transition(["draft"], "sent", name="post"),
    Transition("sent", ["paid", "draft"], name="answer"),
    Transition("sent", "sent", name="remind"),
    Transition(ANY, "void", name="cancel"),
    Transition("draft", "void", condition=pgtrigger.F("new__locked")),
]


def machine(transitions=FLOW, field="status", **kwargs):
    return FSM(name="flow", field=field, transitions=transitions, **kwargs)


def output(*arguments):
    out = io.StringIO()
    call_command("pgtrigger", "graph", *arguments, stdout=out)
    return out.getvalue()


MERMAID = """\
stateDiagram-v2
    direction LR
    state "draft" as s1
    state "sent" as s2
    state "paid" as s3
    state "void" as s4
    state "any state" as s5
    [*] --> s1
    s1 --> s2 : send [condition], post
    s2 --> s3 : answer
    s2 --> s1 : answer
    s2 --> s2 : remind
    s5 --> s4 : cancel
    s1 --> s4 : [condition]
    s4 --> [*]
"""
DOT = """\
digraph "workflow.Document.note" {
    rankdir=LR;
    s0 [shape=point, width=0.15, label=""];
    s1 [shape=box, style=rounded, label="a \\"b\\" \\\\"];
    s2 [shape=box, style=rounded, label="NULL"];
    s3 [shape=box, style="rounded,dashed", label="any state"];
    s0 -> s1;
    s1 -> s2 [label="go"];
    s2 -> s3;
}
"""


def test_mermaid_is_the_default(declared):
    declared(Document, machine())
    assert output("workflow.Document") == MERMAID


def test_dot(declared):
    flow = [Transition('a "b" \\', None, name="go"), (None, ANY)]
    declared(Document, machine(flow, "note", initial='a "b" \\'))
    assert output("workflow.Document", "--format", "dot") == DOT


def test_final_states_have_two_lines_around_them(declared):
    declared(Document, machine([("a", "b")], "note"))
    assert 's1 [shape=box, style=rounded, peripheries=2, label="b"]' in output(
        "workflow.document", "--format=dot"
    )
    # Nothing tells where it begins.
    assert "[*] -->" not in output("workflow.document")


def test_any_state_is_drawn_once(declared):
    declared(Document, machine([("a", "b"), (ANY, "c"), ("c", ANY)], "note"))
    text = output("workflow.document")
    assert text.count('state "any state"') == 1
    assert "s3 --> s2" in text
    assert "s2 --> s3" in text


def test_a_default_that_is_no_state_is_no_start(declared):
    declared(Document, machine([(5, 6)], "amount"))
    assert "[*] -->" not in output("workflow.document")


def test_mermaid_gets_entities_for_what_it_would_read_as_its_own():
    graph = graph_of(Machine(Document, machine([('"a"\n;:', "b")], "note")))
    assert 'state "#34;a#34;#10;#59;#58;" as s0' in graph.mermaid()


def test_svg_shows_all_states_and_transitions(declared, tmp_path):
    declared(Document, machine())
    path = tmp_path / "machine.svg"
    assert output("workflow.Document", "--format", "svg", "--output", str(path)) == ""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert root.find(f"{SVG}title").text == "workflow.Document.status"
    states = [
        group.find(f"{SVG}text").text
        for kind in ("state", "any")
        for group in root.iterfind(f"{SVG}g[@class='{kind}']")
    ]
    assert states == ["draft", "sent", "paid", "void", "any state"]
    edges = [*root.iterfind(f"{SVG}g[@class='edge']")]
    labels = [text.text for edge in edges for text in edge.iterfind(f"{SVG}text")]
    assert len(edges) == 7
    assert labels == [
        "send [condition], post",
        "answer",
        "answer",
        "remind",
        "cancel",
        "[condition]",
    ]
    assert len([*root.iterfind(f"{SVG}circle")]) == 1
    (final,) = [g for g in root.iter(f"{SVG}g") if len(g.findall(f"{SVG}rect")) == 2]
    assert final.find(f"{SVG}text").text == "void"


def test_any_text_is_escaped_in_svg():
    graph = graph_of(Machine(Document, machine([("<a> & \x01", "b]]>")], "note")))
    texts = [text.text for text in ElementTree.fromstring(svg(graph)).iter(f"{SVG}text")]
    assert texts == ["<a> &  ", "b]]>"]


def test_which_machine_is_drawn_can_be_said(declared):
    declared(Document, machine())
    declared(Document, FSM(name="levels", field="level", transitions=[(1, 2)]))
    with pytest.raises(MachineNotFoundError, match="2 machines"):
        output("workflow.Document")
    assert 'state "paid"' in output("workflow.Document", "--field", "status")
    assert 'state "3"' in output("workflow.Document", "--name", "levels")


@pytest.mark.parametrize("name", ["workflow.Nothing", "Document", "nowhere.Document"])
def test_a_model_that_is_not_there_is_refused(name):
    with pytest.raises(CommandError, match='Name the model as "app_label.Model"'):
        output(name)


# --- Layout -----------------------------------------------------------------------------------


def overlap(first, second):
    left, right, top, bottom = first
    other_left, other_right, other_top, other_bottom = second
    return left < other_right and other_left < right and top < other_bottom and other_top < bottom


def areas(layout):
    """The rectangles of nodes and labels: left, right, top, bottom."""
    for number, _ in enumerate(layout.graph.nodes):
        box = layout.boxes[number]
        top = box.y - box.height / 2 - box.loop
        yield box.x - box.width / 2, box.x + box.width / 2, top, box.y + box.height / 2
    for edge in layout.graph.edges:
        if edge[0] != edge[1] and (label := layout.graph.label(edge)):
            x, y = layout.label_place(edge)
            half = text_width(label, 12) / 2
            yield x - half, x + half, y - LABEL_HEIGHT / 2 + 5, y + 5


@st.composite
def graphs(draw):
    number = draw(st.integers(1, 9))
    start = draw(st.booleans())
    nodes = [Node("x" * draw(st.integers(0, 20))) for _ in range(number)]
    graph = Graph("random", [Node("", START), *nodes] if start else nodes)
    pairs = [(a, b) for a in range(number) for b in range(number)]
    for a, b in draw(st.lists(st.sampled_from(pairs), max_size=16)):
        graph.connect(a + start, b + start, draw(st.sampled_from(["", "go", "a long label"])))
    if start:
        graph.connect(0, draw(st.integers(1, number)))
    return graph


@given(graphs())
def test_nothing_lies_on_anything_else(graph):
    """Of random graphs of up to nine states and 17 transitions."""
    layout = Layout(graph)
    found = [*areas(layout)]
    for first, second in itertools.combinations(found, 2):
        assert not overlap(first, second)
    for left, right, top, bottom in found:
        assert 0 <= left <= right <= layout.width
        assert 0 <= top <= bottom <= layout.height
    for edge in graph.edges:
        if edge[0] != edge[1]:
            points = layout.points(edge)
            for number, (x, y) in zip(edge, (points[0], points[-1]), strict=True):
                box = layout.boxes[number]
                assert abs(abs(x - box.x) - box.width / 2) < 0.01
                assert abs(y - box.y) < box.height / 2
    ElementTree.fromstring(svg(graph))


def test_a_chain_is_drawn_as_a_line():
    graph = Graph("chain", [Node(text) for text in "abcd"])
    for number in range(3):
        graph.connect(number, number + 1)
    boxes = Layout(graph).boxes[:4]
    assert [box.y for box in boxes] == [boxes[0].y] * 4
    assert [box.x for box in boxes] == sorted(box.x for box in boxes)


def test_edges_that_can_be_drawn_without_crossing_are():
    graph = Graph("crossing", [Node(text) for text in "abcdef"])
    for source, target in ((0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)):
        graph.connect(source, target)
    layout = Layout(graph)
    a, b, c, d, e, _ = layout.boxes[:6]
    assert (b.y < c.y) == (e.y < d.y)
    assert a.x < b.x < d.x


def test_wide_letters_take_more_room():
    assert text_width("状態", 10) == 2 * text_width("ab", 10)
