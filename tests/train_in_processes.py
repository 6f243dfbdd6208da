"Trainings that torchrun starts in several processes: torchrun … train_in_processes.py '{json}'. Each process notes a hash of its last weights."
import hashlib
import json
import sys
from pathlib import Path

import torch
from transformers import TrainerCallback

from clintrial.tuning import tuning_from_dict
from conftest import toy_tuner


class StopAt(TrainerCallback):
    "Presses stop in the first process only."
    def __init__(self, step): self.step = step
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step and args.process_index == 0: self.tuner.stop()


def train(told: dict):
    "One training; its digest of weights goes to a file for each process."
    button, tuning = StopAt(told.pop('stop', None)), told.pop('tuning', None)
    tuner = button.tuner = toy_tuner(tuning=tuning and tuning_from_dict(tuning), callbacks=(button,), **told)
    run = tuner.fit()
    weights = b''.join(tensor.detach().numpy().tobytes() for tensor in tuner.model.state_dict().values())
    seen = {'weights': hashlib.sha256(weights).hexdigest(), 'run': str(run.folder), 'status': run.status}
    (Path(run.folder).parent/f'{run.folder.name}-{tuner.config.process_index}.json').write_text(json.dumps(seen), encoding='utf-8')


if __name__ == '__main__':
    for told in json.loads(sys.argv[1]): train(told)
    if torch.distributed.is_initialized(): torch.distributed.destroy_process_group()
