"""A process that is forked with Django imported but no project yet. Needs no settings itself."""

import os
import runpy
import sys
import warnings


def run(directory, environment, argv, output):
    """Run a Python file as ``python -W error`` does, in a project, with its output to files."""
    for descriptor, path in zip((1, 2), output, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    warnings.simplefilter("error")
    sys.dont_write_bytecode = True
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.path.insert(0, str(directory))
    sys.argv = list(argv)
    runpy.run_path(argv[0], run_name="__main__")
