"""A classifier whose encoder stays as it is and whose head is fitted at once (`ulmfit_jax.linear_head`).

To the training loop it is a stage of one epoch of one step, so that states, tables and measures are those of every
training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from ulmfit_jax.errors import ConfigError, TrainingError
from ulmfit_jax.linear_head import fitted_head
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import of_first
from ulmfit_jax.training.task import Batch, StepControls, StepResult, TrainState


def check_classes(architecture: Architecture, head: Head) -> None:
    """Refuse more classes than a text's vector has numbers.

    Raises:
        ConfigError: see above.
    """
    if head.n_classes > (features := head.features(architecture)):
        raise ConfigError(
            f"linear_probe tells at most as many classes apart as a text has numbers, {features}, but there are "
            f"{head.n_classes}: choose another recipe"
        )


class LinearProbeTask(ClassifierTask):
    """The task of a head without hidden layers on vectors that are computed once; its arguments are those of
    `ClassifierTask`, with `cache_frozen`."""

    def __init__(self, architecture: Architecture, head: Head, *args: Any, **options: Any):
        """See `ClassifierTask`.

        Raises:
            ConfigError: there are more classes than features.
        """
        super().__init__(architecture, head, *args, **options)
        check_classes(architecture, head)
        self.batches_per_epoch = 1

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """All documents at once, of which the step knows."""
        yield from ((),) * (1 - start)

    def step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool = False,
    ) -> Any:
        """See `Task.step`: the loss is the mean over the training documents, without the penalty.

        A step raises TrainingError where the encoder's vectors are not finite.
        """
        frozen, self._head_alone = self._frozen, True
        assert frozen is not None
        frozen.forget()
        labels, weights = np.asarray(self._train.labels), self._loss_options["class_weights"]

        def solve(state: TrainState, batch: Batch, controls: StepControls) -> Any:
            vectors = frozen.of(self._train, state.parameters, state.statistics)
            if not np.isfinite(vectors).all():
                raise TrainingError("the encoder gives numbers that are not finite: start from another model")
            fitted = fitted_head(vectors, labels, self.head.n_classes, weights)
            head, normalised = devices.replicate(of_first(fitted.parameters()))
            parameters = {**state.parameters, "head": head}
            statistics = {**state.statistics, "head": normalised}
            given = frozen.log_probabilities(self._train, parameters, statistics)
            loss = jnp.float32(self.measures(given, labels)["valid_loss"])
            return state._replace(parameters=parameters, statistics=statistics), StepResult(loss, jnp.float32(0))

        return solve
