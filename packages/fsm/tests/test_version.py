from importlib.metadata import version

import pgtrigger_fsm


def test_the_package_knows_its_version():
    assert pgtrigger_fsm.__version__ == version("pgtrigger-fsm")
