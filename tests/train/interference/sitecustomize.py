"""Python imports this first when its folder is on the path: it ends a run at an exact moment, or watches its ranks.

``UNIGEN_TEST`` is ``SIGNAL:WHERE:COUNT``, the signal sent when the place is reached for the COUNT-th time,
``watch:FOLDER``, or ``nan:loss:STEP``, from which step on the loss is none. The first save every third step, so that
steps are lost and done again.
"""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import contextmanager
from pathlib import Path

from unigen.train import checkpoints, run
from unigen.train.module import TrainingModule

KIND, _, REST = os.environ["UNIGEN_TEST"].partition(":")
PLACE, _, COUNT = REST.rpartition(":")
reached = []


def here(place: str) -> None:
    """The moment, if it is this one."""
    reached.append(place)
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    if place == PLACE and reached.count(place) == int(COUNT):
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "term": signal.SIGTERM}[KIND])


def before(owner: object, name: str, place: str) -> None:
    """Reach ``place`` whenever the function is called."""
    function = getattr(owner, name)

    def wrapped(*arguments, **keywords):
        here(place)
        return function(*arguments, **keywords)

    setattr(owner, name, wrapped)


@contextmanager
def durable(path: Path):
    with whole(path) as partial:
        partial.write_bytes(b"half a checkpoint")
        here("writing")
        yield partial
        here("written")
    here("saved")


def every_third(callback, trainer, module):
    if trainer.global_step % 3 == 0 or trainer.global_step == trainer.max_steps or callback.signal:
        end_step(callback, trainer, module)


def watched(module, batch, batch_idx):
    """Note what this rank sees, and which weights it has."""
    weights = b"".join(parameter.detach().numpy().tobytes() for parameter in module.model.parameters())
    digests = [hashlib.sha256(data).hexdigest() for data in (batch.vectors.numpy().tobytes(), weights)]
    with (Path(REST) / f"rank-{module.global_rank}.txt").open("a") as file:
        file.write(f"{module.global_step} {' '.join(digests)}\n")
    return training_step(module, batch, batch_idx)


def poisoned(module, batch, batch_idx):
    return training_step(module, batch, batch_idx) * (float("nan") if module.global_step >= int(COUNT) else 1.0)


training_step = TrainingModule.training_step
if KIND == "nan":
    TrainingModule.training_step = poisoned
elif KIND == "watch":
    TrainingModule.training_step = watched
else:
    whole, checkpoints.durable = checkpoints.durable, durable
    end_step, checkpoints.Checkpoints._end_step = checkpoints.Checkpoints._end_step, every_third
    before(TrainingModule, "training_step", "step")
    before(TrainingModule, "validation_step", "validation")
    before(run, "publish", "publishing")
