"""Whether an accelerator computes what a CPU computes: some training steps of every kind on both, compared.

    JAX_PLATFORMS=cpu python tests/backend_numbers.py --write numbers.npz    # the suite's oracles hold on this side
    python tests/backend_numbers.py --compare numbers.npz                    # on the accelerator; exits 1 if not

Losses, norms of gradients and parameters after 6 steps with all dropouts (masks are the same on every platform), and
the scores of an evaluation; of a language model, of both directions together, of a classifier. In float32 every number
has to be that of the CPU to 2e-4 of the largest of its array. bfloat16 rounds products to 3 digits, so that its losses
alone are compared, to 2 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import flatten, to_numpy
from ulmfit_jax.optim.groups import discriminative_rates
from ulmfit_jax.training.both_directions import BothDirectionsTask, paired
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState

SIZES = Architecture(vocabulary_size=1_000, embedding_size=80, hidden_size=144, n_layers=3)
STEPS = 6


@dataclass(frozen=True)
class Case:
    """A task with products of `precision`, trained from layer group `freeze_to` on; `compared` is whether to the last
    digits."""

    task: str
    precision: str
    freeze_to: int = 0
    backend: str = "scan"

    @property
    def name(self) -> str:
        return f"{self.task} {self.precision} {self.freeze_to} {self.backend}"


def cases(cudnn: bool) -> Iterator[Case]:
    for precision in ("float32", "bfloat16"):
        for task in ("forward", "backward", "both", "classifier"):
            yield Case(task, precision)
    for freeze_to in (-1, -2):
        yield Case("classifier", "float32", freeze_to)
    yield Case("forward", "float32", -1)
    yield Case("carried", "float32")
    if cudnn:
        yield Case("carried", "float32", backend="cudnn")


def documents() -> tuple[Corpus, np.ndarray]:
    """48 documents of 1 to 300 tokens, of words that follow each other, and their classes."""
    random = np.random.default_rng(1)
    labels = np.arange(48) % 3
    texts = [
        np.array([2, *(9 + (random.integers(990) + np.cumsum(random.integers(1, 4 + label, n))) % 990)], np.int32)
        for label, n in zip(labels, random.integers(1, 300, 48), strict=True)
    ]
    return Corpus.from_arrays(texts), labels.astype(np.int32)


def made(case: Case, devices: Devices) -> Any:
    corpus, labels = documents()
    dtype = jnp.dtype(case.precision)
    if case.task == "classifier":
        batches = DocumentBatches(corpus, labels, 16, 24)
        return ClassifierTask(SIZES, Head(3), batches, batches, devices, max_length=120, dtype=dtype)

    def language_model(backwards: bool) -> LanguageModelTask:
        stream = LanguageModelStream(corpus, 8, 24, backwards)
        options: dict[str, Any] = {"reset_state": case.task != "carried", "dtype": dtype, "backend": case.backend}
        return LanguageModelTask(SIZES, stream, stream, devices, **options)

    if case.task == "both":
        return BothDirectionsTask(language_model(False), language_model(True))
    return language_model(case.task == "backward")


def numbers(case: Case) -> dict[str, np.ndarray]:
    """What a few steps give."""
    devices = Devices(1)
    task = made(case, devices)
    parameters, statistics = (to_numpy(tree) for tree in task.definition.initialise(0))
    if case.task == "both":
        parameters = paired(parameters, parameters)
    stage = Stage("some", 1, 5e-3, case.freeze_to, weight_decay=0.1, max_norm=0.5)
    optimizer = StageOptimizer(stage, parameters, task.groups)
    step = task.step(optimizer.transform, optimizer.trainable, devices)
    opened = optimizer.transform.init(parameters)
    trees = (devices.replicate(tree) for tree in (parameters, statistics, opened))
    state = TrainState(*trees, task.initial_carry())
    rates = np.array(discriminative_rates(stage.learning_rate, len(task.groups)), np.float32)
    found, epoch = [], 0
    while len(found) < STEPS:
        for batch in task.train_batches(epoch, 0):
            controls = StepControls(jnp.uint32(7), jnp.uint32(len(found)), jnp.asarray(rates), jnp.float32(0.8))
            state, result = step(state, batch, controls)
            found.append([float(result.loss), float(result.gradient_norm)])
            if len(found) == STEPS:
                break
        epoch += 1
    arrays = {"losses": np.array(found, np.float32)}
    if case.precision == "float32":
        measures = task.evaluate(state.parameters, state.statistics)
        arrays["measures"] = np.array([value for name, value in sorted(measures.items()) if "perp" not in name])
        arrays |= flatten(to_numpy({"parameters": state.parameters, "statistics": state.statistics}))
    return {f"{case.name}: {name}": array for name, array in arrays.items()}


def worst(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest difference of each case and kind of array, as a part of the array's largest number."""
    differences: dict[str, float] = {}
    for name, array in found.items():
        reference = expected[name.replace(" cudnn:", " scan:")]
        difference = float(np.abs(array - reference).max() / np.abs(reference).max())
        case = name.split("/")[0]
        differences[case] = max(differences.get(case, 0.0), difference if np.isfinite(array).all() else np.inf)
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--cudnn", action="store_true", help="the cuDNN backend too (NVIDIA GPUs)")
    parser.add_argument("--only", default="", help="the cases whose names contain this")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(jax.devices(), jax.__version__, flush=True)
    wanted = [case for case in cases(options.cudnn) if options.only in case.name]
    found: dict[str, np.ndarray] = {}
    with ThreadPoolExecutor(options.threads) as pool:  # nearly all of the time is compiling
        for case, arrays in zip(wanted, pool.map(numbers, wanted), strict=True):
            print(f"{case.name}: losses {arrays[f'{case.name}: losses'][:, 0]}", flush=True)
            found |= arrays
    if options.write:
        np.savez(options.write, **found)
    if options.compare:
        with np.load(options.compare) as reference:
            differences = worst(found, dict(reference))
        failed = 0
        for name, difference in differences.items():
            bound = 2e-4 if "float32" in name and "cudnn" not in name else 2e-2
            failed += difference > bound
            print(f"{'ok  ' if difference <= bound else 'OVER'} {difference:.2e} (at most {bound:.0e})  {name}")
        sys.exit(int(failed > 0))


if __name__ == "__main__":
    main()
