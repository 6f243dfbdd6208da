"""Run every notebook from top to bottom, two at a time, as `nbdev_test` does: `python tools/test_notebooks.py [flags]`.

The package is imported once, before the processes part, and what was imported is set aside: else the collector of garbage goes through
all of it at the start of every training, a third of the whole time.
"""
import gc
import importlib
import pkgutil
import sys

from nbdev.test import nbdev_test

import clintrial

if __name__ == '__main__':
    for module in pkgutil.walk_packages(clintrial.__path__, 'clintrial.'): importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    nbdev_test(n_workers=2, timing=True, flags=' '.join(sys.argv[1:]))
