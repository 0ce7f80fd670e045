"""ULMFiT in both directions on an accelerator, from arrays of tokens: pretraining, fine-tuning, classifiers, ensemble.

    python experiments/accelerator.py pack --data-dir DATA --out PACKED           # where the texts are: tokens, packed
    python experiments/accelerator.py pretrain --tokens PACKED --work W --preset small --epochs 2
    python experiments/accelerator.py fine-tune --tokens PACKED --work W --epochs 3
    python experiments/accelerator.py classify --tokens PACKED --work W --direction forward
    python experiments/accelerator.py classify --tokens PACKED --work W --direction backward
    python experiments/accelerator.py ensemble --tokens PACKED --work W           # the test set is read here, once
    python experiments/accelerator.py distil --tokens PACKED --work W             # one forward model taught by both
    python experiments/accelerator.py models --work W --out MODELS --data-dir DATA    # model folders, on any machine

Each command ends with files in W (`wikipedia.npz`, `imdb.npz`, `classifier-forward.npz`, …, and `results.json`) from
which the next one goes on; a command whose file is there does nothing. All but the first and the last need neither
texts nor tokeniser, only jax, flax, optax and orbax. Language models of both directions are trained in one program. The
figures that these commands printed, with the card's name: experiments/README.md.

PACKED is described in `packed_tokens.py`. The language model of reviews reads the training and the unsupervised ones,
without those that are test reviews as well. A command that is broken off goes on when it is given again.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from accelerator_models import LABELS, keep, loaded, models
from packed_tokens import PARTS, labels, pack, packed, reviews_not_tested, whole_batches
from running import error_rate, run_or_explain
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import PRESETS, Architecture, preset
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.both_directions import DIRECTIONS
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.document_scores import Reading, scoring_pass
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import gradual_unfreezing_stages, language_model_stages, pretrain_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import (
    ClassifierSettings,
    LanguageModelSettings,
    RunContext,
    train_both_directions,
    train_classifier,
)

BUCKETS = (20, 64)
"""Chunks of a batch of documents: compiling costs more on an accelerator than skipping empty chunks."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--data-dir", type=Path, help="pack, models: where the texts are")
    parser.add_argument(
        "--tokenizer", type=Path, default=Path("checkpoints/wikipedia-small-forward"), help="pack, models"
    )
    parser.add_argument("--tokens", type=Path, help="folder of packed tokens")
    parser.add_argument("--work", type=Path, help="folder of what the commands leave")
    parser.add_argument("--out", type=Path, help="pack, models: folder to write")
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    parser.add_argument("--parts", type=int, default=PARTS, help="pretrain: parts of Wikipedia to read")
    parser.add_argument("--epochs", type=int, default=1, help="pretrain, fine-tune")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, help="peak; default 5e-3, 3e-3, 4e-2 by command")
    parser.add_argument("--drop-mult", type=float, help="default 0, 0.2, 0.5 by command")
    parser.add_argument("--penalties", type=float, default=0.0, help="fine-tune: times AR of 2 and TAR of 1")
    parser.add_argument("--stages", type=int, nargs=4, default=(1, 1, 1, 2), help="classify: epochs of each stage")
    parser.add_argument("--direction", choices=DIRECTIONS, default="forward", help="classify")
    parser.add_argument("--teachers", type=Path, nargs="+", help="distil: work folders; default: --work alone")
    parser.add_argument("--least-sure", type=float, default=0.8, help="distil: lowest probability of a label")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--documents", type=int, help="use so many documents of each text: to try it")
    parser.add_argument("--save-seconds", type=float, default=60, help="time between saved states")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def pretrain(options: argparse.Namespace) -> None:
    """Both directions from nothing, on Wikipedia."""
    texts = read(options, *(f"wikipedia-{number}" for number in range(options.parts)))
    sizes = preset(options.preset, PRESETS["small"]["vocabulary_size"])
    stages = pretrain_stages(options.epochs, options.learning_rate or 5e-3)
    language_models(options, "wikipedia", sizes, None, texts, read(options, "wikipedia-valid"), stages)


def fine_tune(options: argparse.Namespace) -> None:
    """Both directions go on with reviews; the last 500 measure."""
    sizes, start = loaded(options.work / "wikipedia.npz")
    parts = [reviews_not_tested(options.tokens, split, options.documents) for split in ("train", "unsupervised")]
    documents = [document for part in parts for document in part]
    order = np.random.default_rng(options.seed).permutation(len(documents))
    texts = Corpus.from_arrays([documents[i] for i in order])
    train, valid = texts.split(len(texts) - max(min(500, len(texts) // 10), 1))
    rate = options.learning_rate or 3e-3
    stages = language_model_stages(options.epochs, frozen_epochs=0, learning_rate=rate)
    language_models(options, "imdb", sizes, tuple(start[d] for d in DIRECTIONS), train, valid, stages)


def language_models(
    options: argparse.Namespace, name: str, sizes: Architecture, start: Any, train: Corpus, valid: Corpus, stages: Any
) -> None:
    """Train a pair and keep it as NAME.npz."""
    drop_mult = options.drop_mult if options.drop_mult is not None else {"wikipedia": 0.0, "imdb": 0.2}[name]
    settings = LanguageModelSettings(
        options.batch_size,
        drop_mult=drop_mult,
        activation_penalty=2 * options.penalties,
        temporal_penalty=options.penalties,
        reset_state=True,
        precision=options.precision,
    )
    print(f"{train.n_tokens:,} tokens, {sizes.parameter_count():,} parameters in each direction", flush=True)
    train, valid = whole_batches(train, options.batch_size), whole_batches(valid, options.batch_size)
    started = time.monotonic()
    run = context(options, name, train, settings, stages)
    pair = train_both_directions(sizes, start, train, valid, stages, settings, options.seed, run)
    seconds = time.monotonic() - started
    trees = dict(zip(DIRECTIONS, (result.parameters for result in pair), strict=True))
    keep(options.work / f"{name}.npz", sizes, trees)
    tokens = train.n_tokens * options.epochs
    note(options, name, settings=vars(settings), stages=[stage.to_dict() for stage in stages],
         history=pair[0].history, tokens=tokens, seconds=round(seconds, 1), parts=options.parts, preset=options.preset,
         tokens_per_second=round(2 * tokens / seconds))  # fmt: skip


def classify(options: argparse.Namespace) -> None:
    """Gradual unfreezing over all 25,000 labels, in one direction."""
    sizes, trees = loaded(options.work / "imdb.npz")
    train = read(options, "imdb-train"), labels(options.tokens, "train", options.documents)
    train_and_keep(options, f"classifier-{options.direction}", sizes, trees[options.direction], train)


def train_and_keep(options: argparse.Namespace, name: str, sizes: Architecture, start: Tree, train: Any) -> None:
    """Train a classifier from a language model and keep it as NAME.npz."""
    settings = classifier_settings(options, name)
    stages = gradual_unfreezing_stages(options.learning_rate or 4e-2, options.stages)
    started = time.monotonic()
    encoder = {"encoder": start["encoder"]}
    head = Head(len(LABELS))
    run = context(options, name, train[0], settings, stages)
    result = train_classifier(sizes, head, encoder, train, None, stages, settings, options.seed, run)
    trees = {"parameters": result.parameters, "statistics": result.statistics}
    keep(options.work / f"{name}.npz", sizes, trees)
    note(options, name, settings=vars(settings), stages=[stage.to_dict() for stage in stages],
         history=result.history, documents=len(train[0]), seconds=round(time.monotonic() - started, 1))  # fmt: skip


def classifier_settings(options: argparse.Namespace, name: str) -> ClassifierSettings:
    """How a classifier is trained and measured."""
    return ClassifierSettings(
        options.batch_size,
        drop_mult=0.5 if options.drop_mult is None else options.drop_mult,
        backwards=name.endswith("backward"),
        precision=options.precision,
        buckets=BUCKETS,
    )


def ensemble(options: argparse.Namespace) -> None:
    """Errors of both classifiers, and of the mean of their probabilities, on the test reviews."""
    truth = labels(options.tokens, "test", options.documents)
    reviews = read(options, "imdb-test")
    each = [probabilities(options, options.work, direction, reviews) for direction in DIRECTIONS]
    errors = {d: error_rate(p, truth) for d, p in zip(DIRECTIONS, each, strict=True)}
    errors["both"] = error_rate(np.mean(each, axis=0), truth)
    np.savez(options.work / "test.npz", **dict(zip(DIRECTIONS, each, strict=True)))
    note(options, "test error", documents=len(truth), **errors)


def distil(options: argparse.Namespace) -> None:
    """A forward classifier learns from the true labels and from the unsupervised reviews, labelled by the teachers."""
    sizes, trees = loaded(options.work / "imdb.npz")
    unlabelled = reviews_not_tested(options.tokens, "unsupervised", options.documents)
    folders = options.teachers or [options.work]
    each = [probabilities(options, f, d, unlabelled) for f in folders for d in DIRECTIONS]
    mean = sum(each) / len(each)
    sure = np.flatnonzero(mean.max(axis=1) >= options.least_sure)
    known = read(options, "imdb-train")
    documents = Corpus.from_arrays([*known, *unlabelled.select(sure)])
    classes = np.concatenate(
        [labels(options.tokens, "train", options.documents), mean.argmax(axis=1)[sure].astype(np.int32)]
    )
    print(f"{len(sure):,} of {len(mean):,} unlabelled reviews have a label", flush=True)
    train_and_keep(options, "distilled-forward", sizes, trees["forward"], (documents, classes))
    answers = probabilities(options, options.work, "forward", read(options, "imdb-test"), "distilled")
    error = error_rate(answers, labels(options.tokens, "test", options.documents))
    note(options, DISTILLED, labelled=len(sure), least_sure=options.least_sure, forward=error)


def probabilities(
    options: argparse.Namespace, folder: Path, direction: str, documents: Corpus, kind: str = "classifier"
) -> np.ndarray:
    """What a classifier says of each document, `[documents, 2]`."""
    name = f"{kind}-{direction}"
    sizes, trees = loaded(folder / f"{name}.npz")
    settings, devices, head = classifier_settings(options, name), Devices(1), Head(len(LABELS))
    definition = classifier_definition(sizes, head, settings.precision)
    reading = Reading(settings.bptt, settings.max_length, settings.backwards)
    scores = scoring_pass(definition, sizes, head, devices, reading)
    arrays = devices.replicate(trees["parameters"]), devices.replicate(trees["statistics"])
    return np.exp(scores(*arrays, documents))


def read(options: argparse.Namespace, *names: str) -> Corpus:
    """Packed texts, as much of them as is asked for."""
    return packed(options.tokens, *names, documents=options.documents)


def context(options: argparse.Namespace, name: str, train: Corpus, settings: Any, stages: Any) -> RunContext:
    """One device; a command that is broken off goes on from the state that was saved last."""
    config = {
        "settings": vars(settings),
        "stages": [stage.to_dict() for stage in stages],
        "tokens": train.n_tokens,
        "seed": options.seed,
    }
    folder = RunFolder(options.work / f"run-{name}", config)
    return RunContext(Devices(1), folder, LoopOptions(save_seconds=options.save_seconds), ConsoleProgress())


def noted(options: argparse.Namespace) -> dict[str, Any]:
    """What stands in results.json, by name; nothing where there is none yet."""
    place = options.work / "results.json"
    return json.loads(place.read_text("utf-8")) if place.is_file() else {}


def note(options: argparse.Namespace, name: str, **result: Any) -> None:
    """Add a result to results.json and print it."""
    results = noted(options)
    device = jax.devices()[0].device_kind
    about = {"device": device, "jax": jax.__version__, "seed": options.seed, "date": datetime.now(UTC).isoformat()}
    results[name] = result | about
    (options.work / "results.json").write_text(json.dumps(results, indent=1, default=str) + "\n", "utf-8")
    print(json.dumps({name: {k: v for k, v in results[name].items() if k not in ("settings", "stages")}}), flush=True)


DISTILLED = "test error, distilled"
"""The last result of `distil`, whose model is there before it."""

COMMANDS = {
    "pack": lambda options: pack(options.data_dir, options.tokenizer, options.out),
    "models": models,
    "pretrain": pretrain,
    "fine-tune": fine_tune,
    "classify": classify,
    "ensemble": ensemble,
    "distil": distil,
}
LEAVES = {
    "pretrain": "wikipedia.npz",
    "fine-tune": "imdb.npz",
    "ensemble": "test.npz",
    "distil": "distilled-forward.npz",
}


def untested(options: argparse.Namespace) -> bool:
    """Whether the command is `distil` and has left its model, but not its test error."""
    return options.command == "distil" and DISTILLED not in noted(options)


def main() -> None:
    """One command, unless its file is there."""
    options = arguments()
    needed = {"pack": ("data_dir", "out"), "models": ("work", "out")}.get(options.command, ("tokens", "work"))
    for name in needed:
        if getattr(options, name) is None:
            raise ConfigError(f"{options.command} needs --{name.replace('_', '-')}")
    left = LEAVES.get(options.command, f"classifier-{options.direction}.npz")
    if options.command not in ("pack", "models") and (options.work / left).exists() and not untested(options):
        print(f"{options.work / left} is there")
        return
    COMMANDS[options.command](options)


if __name__ == "__main__":
    run_or_explain("accelerator", main)
