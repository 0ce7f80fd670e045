"""A finished run that nobody has trained: its facts, and the files that its trainings would have left."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.inference.explain import Explanation
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.report.facts import Answered, RunFacts
from ulmfit_jax.report.label_facts import AnsweredLabels
from ulmfit_jax.report.label_results import surest_label_mistakes
from ulmfit_jax.report.mistakes import Mistake, most_confident
from ulmfit_jax.report.page import run_page
from ulmfit_jax.report.stages import read_trainings
from ulmfit_jax.text.words import WordTokenizer
from ulmfit_jax.training.recipes import gradual_unfreezing_stages, language_model_stages
from ulmfit_jax.training.stages import Stage

HOSTILE = "</title><script>alert('1')</script>&amp;\"\x00\ud800\u202e"
"""A label or text that would break out of a page that does not escape."""

WORDS = ("kettle", "novel", "lovely", "dreadful", "printer", "on", "the", "table", "works", "never")


def documents(count: int, classes: Sequence[str], seed: int, words: int = 40) -> TextDataset:
    """Random words with random labels; every class has a text if there are as many."""
    random = np.random.default_rng(seed)
    lengths = np.maximum(random.lognormal(np.log(words), 0.6, count).astype(int), 1)
    texts = [" ".join(random.choice(WORDS, length)) for length in lengths]
    labels = [*classes, *random.choice(np.array(classes, object), count)][:count]
    return TextDataset(texts, labels, "reviews.csv")


def answers(
    classes: Sequence[str], count: int, seed: int = 0, name: str = "test", baseline: bool = True, words: int = 40
) -> Answered:
    """Answers that are right most of the time, and surer of themselves than that."""
    random = np.random.default_rng(seed)
    data = documents(count, classes, seed, words)
    truth = np.array([list(classes).index(label) for label in data.labels or ()])
    scores = 1.7 * random.normal(size=(count, len(classes)))
    scores[np.arange(count), truth] += 3
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    guesses = np.where(random.random(count) < 0.75, truth, random.integers(len(classes), size=count))
    return Answered(
        name,
        data,
        tuple(classes),
        probabilities.astype(np.float32),
        guesses if baseline else None,
        "TF-IDF (1-2-grams) and logistic regression" + ("" if baseline else ": none, it finds no words"),
        range(1, count + 1),
        {name: 3.2, "baseline": 0.4},
    )


LABELS = ("food", "a label with quite a long name", "money", "travel", "weather")


def label_answers(count: int = 200, seed: int = 0, baseline: bool = True, name: str = "test") -> AnsweredLabels:
    """Answers on texts that have any number of labels, of which the last is rare."""
    random = np.random.default_rng(seed)
    truth = random.random((count, len(LABELS))) < np.array([0.5, 0.3, 0.2, 0.1, 0.02])
    texts = documents(count, LABELS, seed).texts
    sets = [tuple(sorted(name for name, has in zip(LABELS, row, strict=True) if has)) for row in truth]
    scores = random.normal(size=truth.shape) * 3 + np.where(truth, 4, -4)
    guesses = truth ^ (random.random(truth.shape) < 0.12)
    return AnsweredLabels(
        name,
        TextDataset(texts, None, "letters.csv", sets),
        LABELS,
        (1 / (1 + np.exp(-scores))).astype(np.float32),
        guesses if baseline else None,
        "TF-IDF (1-2-grams) and logistic regression" + ("" if baseline else ": none, it finds no words"),
        range(1, count + 1),
        {name: 3.2, "baseline": 0.4},
    )


def label_page(folder: Path, answered: AnsweredLabels | None = None) -> str:
    """The page of a run whose texts have several labels, with a learning-rate finder's curve."""
    answered = answered or label_answers()
    facts = run_facts(folder, None, LABELS)
    rates = np.logspace(-6, 0, 60)
    losses = 0.7 - 0.4 / (1 + np.exp(-2 * (np.log10(rates) + 3))) + 0.5 * rates
    report = {
        **facts.report,
        "learning_rates": {"rates": rates.tolist(), "losses": losses.tolist(), "readings": {"valley": 2e-3}},
    }
    facts = dataclasses.replace(
        facts,
        report=report,
        answered=answered,
        data=label_answers(120, 5).data,
        artifact=dataclasses.replace(facts.artifact, head=Head(len(LABELS), multi_label=True)),
    )
    return run_page(facts, surest_label_mistakes(answered, explained))


def write_training(folder: Path, task: str, stages: Sequence[Stage], epoch_steps: int, **measures: float) -> None:
    """The files of a finished training whose loss falls and then rises a little."""
    folder.mkdir(parents=True)
    config = {
        "task": task,
        "architecture": {"n_layers": 3},
        "settings": {"batch_size": 16, "drop_mult": 0.5, "precision": "float32"},
        "stages": [stage.to_dict() for stage in stages],
    }
    rows = [(stage, epoch) for stage in stages for epoch in range(stage.epochs)]
    lines = []
    for number, (stage, epoch) in enumerate(rows, 1):
        loss = 1 / number + 0.1
        row = {"stage": stage.name, "epoch": epoch, "train_loss": loss, "valid_loss": loss + 0.02 * number, **measures}
        lines.append(json.dumps({**row, "seconds": 2.5, "step": number * epoch_steps}))
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def run_facts(folder: Path, answered: Answered | None, classes: Sequence[str], documents_: int = 120) -> RunFacts:
    """The facts of a run in `folder`, which gets the files of its trainings."""
    write_training(folder / "language_model", "language_model", language_model_stages(4), 56, perplexity=41.5)
    write_training(
        folder / "classifier", "classifier", gradual_unfreezing_stages(epochs=(2, 1, 1, 2)), 19, error_rate=0.1
    )
    data = documents(documents_, classes, 5)
    tokenizer = WordTokenizer.train(["the kettle works"] * 3)
    sizes = Architecture(len(tokenizer.vocabulary), 8, 12, 3)
    provenance: dict[str, Any] = {
        "trained_from": "wikipedia-small-forward",
        "recipe": "gradual_unfreezing",
        "stages": ["head"],
    }
    artifact = Artifact(
        "classifier",
        sizes,
        tokenizer,
        {"encoder": {"embedding": np.zeros((len(tokenizer.vocabulary), 8), np.float32)}},
        labels=tuple(classes),
        settings={"bptt": 72, "max_length": 1440},
        provenance=provenance,
    )
    report = {
        "model": str(folder / "model"),
        "seed": 3,
        "documents": {"labelled": documents_, "unlabelled": 423},
        "transductive": False,
        "seconds": {"lm": 512.3, "head": 30.1, "all layers": 99.2, **(answered.seconds if answered else {})},
        "test": {"also_in_training": 2},
    }
    return RunFacts(
        command="ulmfit train reviews.csv --test held-out.csv --out run",
        report=report,
        artifact=artifact,
        trainings=read_trainings(folder),
        data=data,
        tokens=corpus_in_memory(data.texts, tokenizer),
        answered=answered,
        held_out=12,
        device="CPU (x86_64, 2 logical cores)",
        versions={"ulmfit-jax": "0.1.0", "Python": "3.11.2", "jax": "0.10.2"},
        date="22 November 2026, 10:00",
    )


def explained(text: str, label: str) -> Explanation:
    """Words whose importance is drawn."""
    words = tuple(text.split())
    importances = np.random.default_rng(len(text)).normal(size=len(words)).astype(np.float32) ** 3
    return Explanation(words, importances, label, 0.9, "gradient")


def mistakes_of(answered: Answered) -> list[Mistake]:
    """Its most confident mistakes, explained by chance."""
    return most_confident(answered, explained)
