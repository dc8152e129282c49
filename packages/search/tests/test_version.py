from importlib.metadata import version

import pgtrigger_search


def test_the_package_knows_its_version():
    assert pgtrigger_search.__version__ == version("pgtrigger-search")
