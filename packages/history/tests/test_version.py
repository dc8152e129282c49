from importlib.metadata import version

import pgtrigger_history


def test_the_package_knows_its_version():
    assert pgtrigger_history.__version__ == version("pgtrigger-history")
