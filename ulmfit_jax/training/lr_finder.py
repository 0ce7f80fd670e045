"""The learning-rate finder: a short run at rising rates, and what its losses suggest (Smith 2015; fastai `lr_find`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.errors import TrainingError
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.optim.groups import discriminative_rates, freeze_to
from ulmfit_jax.optim.optimizer import layerwise_adam
from ulmfit_jax.optim.schedules import exponential
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.task import Batch, StepControls, Task, TrainState

SMOOTHING = 0.98
MOMENTUM = 0.9
"""Adam's first momentum, constant: the default of fastai's optimiser, which only its schedules change."""

SLIDE, FLAT = 15, 0.005
"""fastai's interval of `slide`, in steps, and the difference of slopes across it that counts as none."""

DIVERGENCE = 4.0
"""The run ends when the smoothed loss exceeds its lowest value so many times."""


@dataclass(frozen=True)
class LearningRates:
    """The curve of a finder run, and fastai's four readings of it.

    Attributes:
        rates: rate of each step, rising.
        losses: training loss after it, an exponential mean without its bias.
        planned: steps that the run would have had if the loss had not exploded.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    planned: int = 100

    @property
    def minimum(self) -> float:
        """A tenth of the rate with the lowest loss."""
        rates, losses = self._usable()
        return float(rates[np.argmin(losses)] / 10)

    @property
    def steep(self) -> float:
        """Where the loss falls fastest over the logarithm of the rate."""
        rates, losses = self._usable()
        return float(rates[np.argmin(np.diff(losses) / np.diff(np.log(rates)))])

    @property
    def valley(self) -> float:
        """Half-way down the longest falling stretch of the curve: fastai's default reading."""
        rates, losses = self._usable()
        length = np.ones(len(losses), int)
        for end, start in itertools.product(range(len(losses)), repeat=2):
            if start < end and losses[end] < losses[start]:
                length[end] = max(length[end], length[start] + 1)
        end = int(np.argmax(length))
        section = int(length[end])
        start = end - section
        return float(rates[max(start + int(section / 3) + int(section / 6), 0)])

    @property
    def slide(self) -> float:
        """The lower end of an interval that comes from the end of the curve and stops where both ends fall alike."""
        rates, losses = self._usable(SLIDE + 1)
        slopes = np.gradient(losses)
        places = range(len(rates) - 1 - SLIDE, -1, -1)
        differing = itertools.takewhile(lambda low: abs(slopes[low + SLIDE] - slopes[low]) > FLAT, places)
        return float(rates[min(differing, default=places[0])])

    def readings(self) -> dict[str, float]:
        """The four readings by name, `slide` only where the curve is long enough for it.

        Raises:
            TrainingError: the curve is too short for any.
        """
        found = {"valley": self.valley, "steep": self.steep, "minimum": self.minimum}
        return {**found, "slide": self.slide} if len(self._usable()[0]) > SLIDE else found

    def _usable(self, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
        """The curve without a tenth of the steps planned, its last five and everything from the first bad number on.

        Raises:
            TrainingError: fewer than `least` points are left.
        """
        losses = np.array(self.losses)
        bad = np.flatnonzero(~np.isfinite(losses))
        end = min(len(losses) - 5, bad[0] if len(bad) else len(losses))
        begin = self.planned // 10
        if end - begin < least:
            raise TrainingError(
                f"the loss was good for {max(end, 0)} steps only, too few to read a learning rate from: check the "
                "data, or start lower"
            )
        return np.array(self.rates)[begin:end], losses[begin:end]


def find_learning_rate(
    task: Task,
    parameters: Tree,
    statistics: Tree,
    devices: Devices,
    *,
    group: int = 0,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    weight_decay: float = 0.01,
    seed: int = 0,
    told: Callable[[int, float], None] | None = None,
) -> LearningRates:
    """Train a copy for `steps` steps at rates from `start` to `end` and record the loss; the arguments are not changed.

    Args:
        task: network and data.
        parameters: what to start from.
        statistics: running means of batch normalisation.
        devices: devices to run on.
        group: layer groups before it are frozen, as in a `Stage`.
        start: first rate; 1e-7 in fastai.
        end: last rate; 10 in fastai.
        steps: 100 in fastai.
        weight_decay: as in a `Stage`.
        seed: decides dropout.
        told: is given the steps done and the loss after each.

    Raises:
        TrainingError: too few good losses to read anything from (raised by the readings).
    """
    trainable = freeze_to(task.groups, group)
    optimizer = layerwise_adam(parameters, task.groups, trainable, weight_decay=weight_decay)
    state = TrainState(
        devices.replicate(parameters),
        devices.replicate(statistics),
        devices.replicate(optimizer.init(parameters)),
        task.initial_carry(),
    )
    step, schedule = task.step(optimizer, trainable, devices), exponential(steps, start, end)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, batch in enumerate(itertools.islice(_endless(task), steps)):
        rate = schedule(number)
        peaks = np.array(discriminative_rates(rate, len(task.groups)))
        controls = StepControls(
            jnp.uint32(seed), jnp.uint32(number), jnp.asarray(peaks, jnp.float32), jnp.float32(MOMENTUM)
        )
        state, result = step(state, batch, controls)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(result.loss)
        rates.append(rate)
        losses.append(mean / (1 - SMOOTHING ** (number + 1)))
        if told is not None:
            told(number + 1, losses[-1])
        if not math.isfinite(mean) or losses[-1] > DIVERGENCE * min(losses):
            break
    return LearningRates(tuple(rates), tuple(losses), steps)


def _endless(task: Task) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from task.train_batches(epoch, 0)
