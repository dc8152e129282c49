from importlib.metadata import version

import pgtrigger_softdelete


def test_the_package_knows_its_version():
    assert pgtrigger_softdelete.__version__ == version("pgtrigger-softdelete")
