"A training in a process of its own, for tests that kill it: python train_in_a_process.py '{json}'."
import json
import sys
import time
from pathlib import Path

from transformers import TrainerCallback

import clintrial.checkpoint
from conftest import toy_tuner


class Slowly(TrainerCallback):
    "Leaves a watcher time to look between steps."
    def on_step_end(self, args, state, control, **kwargs): time.sleep(.05)


def seal_slowly(path: Path, until: str):
    "From the checkpoint named `until` on, say that a seal is due and sleep instead."
    really = clintrial.checkpoint.seal
    def seal(folder):
        if until in folder.name:
            path.write_text('sealing')
            time.sleep(600)
        really(folder)
    clintrial.checkpoint.seal = seal


if __name__ == '__main__':
    told = json.loads(sys.argv[1])
    slow = told.pop('slow_seal', None)
    if slow: seal_slowly(Path(slow[0]), slow[1])
    toy_tuner(callbacks=(Slowly(),), **told).fit()
