"The toy trial and its quick training, which the other tests have in their own conftest."
import importlib.util
from pathlib import Path

where = importlib.util.spec_from_file_location('clintrial_toys', Path(__file__).parents[1]/'conftest.py')
known = importlib.util.module_from_spec(where)
where.loader.exec_module(known)
toy_trial, toy_tuner = known.toy_trial, known.toy_tuner
