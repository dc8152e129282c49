"""pgtrigger.wanted: layers come to one value for each setting and database."""

from pgtrigger.wanted import Layer, Wanted, current


def adding(word, setting="a.b", **kwargs):
    return Layer(setting, lambda outer: [*(outer or ()), word], ",".join, **kwargs)


def test_layers_of_one_setting_are_folded_from_the_outside():
    wanted = Wanted((adding("x"), adding("y"), adding("z", "c.d")))
    assert wanted.settings("default") == {"a.b": "x,y", "c.d": "z"}
    assert wanted.value("a.b", "default") == ["x", "y"]
    assert wanted.value("e.f", "default") is None


def test_a_layer_holds_for_its_databases():
    wanted = Wanted((adding("x"), adding("y", databases=["other"])))
    assert wanted.settings("default") == {"a.b": "x"}
    assert wanted.settings("other") == {"a.b": "x,y"}
    assert Wanted((adding("x", databases=[]),)).settings("default") == {}


def test_reads_matter_where_a_layer_says_so():
    wanted = Wanted((adding("x", for_reads=True, databases=["other"]), adding("y")))
    assert wanted.for_reads("other") is False  # the innermost layer of the setting decides
    assert Wanted((adding("x", for_reads=True),)).for_reads("default")
    assert not Wanted().for_reads("default")


def test_the_text_is_made_once():
    calls = []

    def render(value):
        calls.append(value)
        return "text"

    wanted = Wanted((Layer("a.b", lambda outer: 1, render),))
    assert wanted.settings("default") is wanted.settings("default")
    assert calls == [1]


def test_by_default_nothing_is_wanted():
    assert current.get().settings("default") == {}
