"""Log-rank and Cox on a million patients, with the ratio to lifelines; type I errors where they are cheap.

    python bench/statistics.py [--quick] [--patients 1000000] [--trials 2000] [--seed 1]

The bench itself is `trial_statistics.py`. A file of this name beside the others hides Python's own `statistics` from every program started in this folder, so whoever imports it by that name gets Python's.
"""
if __name__ == '__main__':
    from trial_statistics import main
    main()
else:
    import importlib.util
    import sys
    import sysconfig

    python_own = importlib.util.spec_from_file_location(__name__, sysconfig.get_path('stdlib') + '/statistics.py')
    sys.modules[__name__] = importlib.util.module_from_spec(python_own)
    python_own.loader.exec_module(sys.modules[__name__])
