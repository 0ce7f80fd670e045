"""Losses on texts without labels: least entropy, and virtual adversarial training.

    python experiments/unlabeled_losses.py DATA/trec6/train.jsonl --documents 500 --valid-documents 2000 --repeats 3 \\
        --unlabeled 2900 --entropy 0.3 1 --virtual 0.1 0.2

A classifier of `recipe="fine_tune"`, from the encoder of --model as it is. Where all layers train, each step reads as
many documents again, of those to train on and of --unlabeled others, without their labels, and adds to its loss

- with --entropy W, W times the mean entropy of the answers to them (Grandvalet and Bengio 2004): be sure;
- with --virtual F, the divergence from these answers of those to the same documents with their embedded tokens pushed
  to where the answers change most (Miyato, Maeda, Koyama and Ishii 2018; for text Miyato, Dai and Goodfellow 2017): be
  the same nearby. The push of a document has the norm of F tokens, and is found by one step of power iteration.

Both passes over a document have the same dropout. The first row of the table has neither. Each repeat draws other
documents.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from compare_recipes import Measures, add_drawing, compare, drawn_from, train_and_valid
from running import run_or_explain
from ulmfit_jax import TextClassifier
from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.classifier_plan import ClassifierPlan, classifier_plan
from ulmfit_jax.data import TextDataset, corpus_in_memory
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import CLASSIFIER_DROPOUTS
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.batch_norm import running_statistics
from ulmfit_jax.nn.classifier import DEVICE_AXIS
from ulmfit_jax.nn.documents import first_chunks, holds_token, pooled_chunks, token_places
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.optim.groups import group_labels
from ulmfit_jax.option_ranges import check_from_zero
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.training.adversarial import perturbation, token_norms
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.task import StepControls, TrainState, row_numbers, update

LogProbabilities = Callable[[Tree, "Array | None"], Array]
"""From parameters and a push of the embedded tokens to what the network answers, `[documents, classes]`."""


_OTHERS = 2**30
"""What is folded into a step's key for what it draws besides; chunks and layers have small numbers."""


class Losses(NamedTuple):
    """What is added to the loss of labelled documents."""

    entropy: float = 0.0
    virtual: float = 0.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawing(parser)
    parser.add_argument("--model", default="wikipedia-small-forward", help="language model to start from")
    parser.add_argument("--unlabeled", type=int, required=True, help="others that are read without their labels")
    parser.add_argument("--entropy", type=float, nargs="*", default=[], help="weights, a row of the table each")
    parser.add_argument("--virtual", type=float, nargs="*", default=[], help="norms in tokens, a row of the table each")
    parser.add_argument("--both", type=float, nargs=2, action="append", default=[], help="a weight and a norm together")
    parser.add_argument("--epochs", type=int, default=4, help="of all layers")
    parser.add_argument("--drop-mult", type=float, default=0.5, help="scales the dropouts")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products; bfloat16 where it is fast")
    parser.set_defaults(task="classifier")
    return parser.parse_args()


def mean_over(rows: Array, values: Array) -> Array:
    """The mean of the `values` `[documents]` of true rows."""
    return jnp.where(rows, values, jnp.float32(0)).sum() / jnp.maximum(rows.sum().astype(jnp.float32), 1)


def divergence(of: Array, other: Array, rows: Array) -> Array:
    """Mean Kullback-Leibler divergence of the answers `other` from those `of` which they should be, log probabilities
    `[documents, classes]` both."""
    return mean_over(rows, (jnp.exp(of) * (of - other)).sum(axis=1))


def entropy(answers: Array, rows: Array) -> Array:
    """Mean entropy of log probabilities `[documents, classes]`."""
    return mean_over(rows, -(jnp.exp(answers) * answers).sum(axis=1))


def worst_push(
    answers: LogProbabilities, parameters: Tree, rows: Array, begin: Array, reach: Array, target: Array
) -> Array:
    """The push of the norms `reach` `[documents]` that changes the answers most, about: one step of power iteration.

    Args:
        answers: of the network.
        parameters: its own; nothing is differentiated by them.
        rows: which documents are true ones.
        begin: the direction to start in, random. Its norms become `reach` too: small ones would do in exact arithmetic,
            but in bfloat16 they hardly move an answer.
        reach: see above.
        target: the answers without a push.
    """
    still = lax.stop_gradient(parameters)
    ascent = jax.grad(lambda push: divergence(target, answers(still, push), rows))(perturbation(begin, reach))
    return perturbation(ascent, reach)


class WithUnlabeled:
    """The task of a classifier whose steps over all layers read texts without labels, too."""

    columns: tuple[str, ...] = ()

    def __init__(self, plan: ClassifierPlan, more: Corpus, losses: Losses, devices: Devices):
        """Bind to the data: `more` are the documents that are read without their labels."""
        settings = plan.settings
        self._task, self._settings, self._losses, self._devices = plan.task(devices), settings, losses, devices
        self._more = DocumentBatches(more, None, settings.batch_size, settings.bptt, settings.backwards, plan.seed)
        self._dropouts = CLASSIFIER_DROPOUTS.scaled(settings.drop_mult)
        self.definition, self.groups = self._task.definition, self._task.groups
        self.batches_per_epoch = self._task.batches_per_epoch

    def train_batches(self, epoch: int, start: int) -> Iterator[tuple[Any, ...]]:
        """Labelled batches, and beside each one of the others, over and over."""
        read = epoch * self.batches_per_epoch + start
        first, skipped = divmod(read, self._more.batches_per_epoch)
        others = itertools.chain.from_iterable(self._more.training_epoch(each) for each in itertools.count(first))
        for batch, other in zip(
            self._task.train_batches(epoch, start), itertools.islice(others, skipped, None), strict=False
        ):
            split = self._devices.split_rows
            yield batch, (split(other.tokens, 2), split(other.lengths, 0))

    def initial_carry(self) -> Any:
        """Nothing."""
        return ()

    def prepare(self, state: TrainState, told: Any) -> None:
        """As without the others."""
        self._task.prepare(state, told)

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """Nothing: the classifier is measured when it is trained."""
        return {}

    def step(self, optimizer: Any, trainable: frozenset[str], devices: Devices, guarded: bool = False) -> Any:
        """See `Task.step`."""
        alone = self._task.step(optimizer, trainable, devices, guarded)
        if self.groups[0].name not in trainable or not any(self._losses):
            return lambda state, batch, controls: alone(state, batch[0], controls)

        def train_step(
            state: TrainState, labelled: Any, labels: Array, others: Any, controls: StepControls
        ) -> tuple[TrainState, Any]:
            def loss(parameters: Tree, key: Array) -> Any:
                network = self.definition.bind(parameters, state.statistics)
                noise, settings = Noise(key, self._dropouts, row_numbers(labels.shape[0])), self._settings
                total, cross_entropy = network.loss(
                    *labelled,
                    labels,
                    noise,
                    max_length=settings.max_length,
                    activation_penalty=settings.activation_penalty,
                    temporal_penalty=settings.temporal_penalty,
                    label_smoothing=settings.label_smoothing,
                    class_weights=settings.class_weights,
                    axis_name=DEVICE_AXIS,
                )
                batch = self.definition.statistics_of(network)
                total += self._on_unlabeled(parameters, state.statistics, others, jax.random.fold_in(key, _OTHERS))
                return total, (cross_entropy, running_statistics(state.statistics, batch, controls.step), ())

            groups = group_labels(state.parameters, self.groups)
            return update(state, controls, optimizer, groups, trainable, loss, guarded)

        axes = (REPLICATED, (2, 0), 0, (2, 0), REPLICATED)
        mapped = devices.map(train_step, axes, (REPLICATED, REPLICATED), donate=(0,))
        return lambda state, batch, controls: mapped(state, batch[0][:2], batch[0][2], batch[1], controls)

    def _on_unlabeled(self, parameters: Tree, statistics: Tree, documents: Any, key: Array) -> Array:
        tokens, lengths = documents
        chunks, bptt, rows = tokens.shape
        noise = Noise(key, self._dropouts, row_numbers(rows))
        length, true = self._settings.max_length, lengths > 0

        def answers(parameters: Tree, push: Array | None) -> Array:
            network = self.definition.bind(parameters, statistics)
            return jax.nn.log_softmax(network.scores(tokens, lengths, length, noise, push, DEVICE_AXIS))

        plain = answers(parameters, None)
        total = self._losses.entropy * entropy(plain, true)
        if self._losses.virtual:
            embedding, target = lax.stop_gradient((parameters["encoder"]["embedding"], plain))
            reach = self._losses.virtual * token_norms(embedding, tokens, lengths)
            pooled = jnp.arange(chunks - pooled_chunks(chunks, bptt, length), chunks, dtype=jnp.int32)
            read = holds_token(token_places(pooled, first_chunks(lengths, chunks, bptt), bptt), lengths)
            shape = (len(pooled), bptt, rows, embedding.shape[1])
            begin = jax.random.normal(jax.random.fold_in(key, _OTHERS), shape, jnp.float32)
            begin = jnp.where(read.reshape(shape[:3])[..., None], begin, jnp.float32(0))
            push = worst_push(answers, parameters, true, begin, reach, target)
            total += divergence(target, answers(parameters, push), true)
        return total


def measure(
    options: argparse.Namespace,
    chosen: dict[str, Any],
    data: tuple[TextDataset, TextDataset, Sequence[str]],
    seed: int,
) -> Measures:
    """Train one classifier with the losses that are chosen, and measure it."""
    train, valid, others = data
    start, devices = load_artifact(model_folder(options.model)), Devices(1)
    classes = check_labels(train)
    how = TextClassifier(
        options.model,
        recipe="fine_tune",
        epochs=(2, options.epochs),
        cache_frozen=True,
        drop_mult=options.drop_mult,
        validation_fraction=0.0,
        precision=options.precision,
        seed=seed,
        devices=1,
    ).options
    plan = classifier_plan(start, train, classes, how, None, workers=1)
    more = corpus_in_memory([*train.texts, *others], start.tokenizer)
    task = WithUnlabeled(plan, more, Losses(**chosen), devices)
    parameters, statistics = task.definition.initialise(seed)
    result = Loop(task, plan.stages, devices, seed=seed).run({**parameters, **plan.branches}, statistics)
    measured = (corpus_in_memory(valid.texts, start.tokenizer), label_indices(valid, classes))
    found = (
        replace(plan, valid=measured).task(devices).evaluate(*devices.replicate((result.parameters, result.statistics)))
    )
    last = result.history[-1]["train_loss"]
    return {"error, %": 100 * found["error_rate"], "loss": found["valid_loss"], "training loss": last}


def main() -> None:
    """Every loss on every draw, a row of the table each."""
    options = arguments()
    together = list(zip(*options.both, strict=True)) or [(), ()]
    for name, values in (("entropy", together[0]), ("virtual", together[1])):
        for value in (*getattr(options, name), *values):
            check_from_zero(**{name: value})
    data, orders = drawn_from(options)
    if data.label_sets is not None:
        raise ConfigError(f"{options.data} has several labels a text: give one with one label")
    draws = [parts(data, order, options) for order in orders]
    rows = [("labelled texts alone", {})]
    rows += [(f"entropy, {weight:g} times", {"entropy": weight}) for weight in options.entropy]
    rows += [(f"virtual adversarial, {norm:g} tokens", {"virtual": norm}) for norm in options.virtual]
    rows += [(f"both, {w:g} times and {n:g} tokens", {"entropy": w, "virtual": n}) for w, n in options.both]
    compare(options, measure, rows, draws)


def parts(
    data: TextDataset, order: np.ndarray, options: argparse.Namespace
) -> tuple[TextDataset, TextDataset, list[str]]:
    """Documents to train on and to measure on, as in `compare_recipes.py`, and the texts of the others."""
    measured = options.documents + options.valid_documents
    if (others := len(data) - measured) < options.unlabeled:
        raise ConfigError(f"{others:,} others are there, {options.unlabeled:,} are asked for")
    return *train_and_valid(options, data, order), data.select(order[measured : measured + options.unlabeled]).texts


if __name__ == "__main__":
    run_or_explain("unlabeled_losses", main)
