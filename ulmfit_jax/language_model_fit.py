"""How a language model comes out of texts: what it starts from, the numbers chosen for this much text, the run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus, cached_corpus, texts_fingerprint
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import LANGUAGE_MODEL_DROPOUTS, Architecture, preset
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint
from ulmfit_jax.nn.products import check_precision, chosen_precision
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.text.tokenizer import load_tokenizer, tokenizer_trainer
from ulmfit_jax.text.vocabulary import apply_match, match_vocabularies
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first, is_first
from ulmfit_jax.training.recipes import language_model_stages, pretrain_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import LanguageModelSettings, RunContext, train_language_model
from ulmfit_jax.training.scaling import language_model_batch_size, language_model_epochs
from ulmfit_jax.training.stages import Stage

_LOG = logging.getLogger(__name__)

VALIDATION_SHARE = 0.05
"""Share of the documents, the last ones, that measure a language model when no others are given."""

SCRATCH_RATE = 5e-3

FINE_TUNING_RATE, FINE_TUNING_RATE_ONCE = 1e-3, 4e-3
"""The notebook's rate for text that is read several times, the paper's where it is read once."""

REGULARISED = {"drop_mult": 0.5, "activation_penalty": 2.0, "temporal_penalty": 1.0}
"""For text that is read several times: fastai's AR and TAR, and half its dropout, as its classifiers have."""

READ_ONCE = {"drop_mult": 0.1, "activation_penalty": 0.0, "temporal_penalty": 0.0}
"""For text that is read once: there is nothing to over-fit, so regularisation only costs."""


@dataclass(frozen=True)
class LanguageModelOptions:
    """What can be chosen of a language model's training; `LanguageModel` documents each. None: by the data."""

    epochs: int | None = None
    frozen_epochs: int | None = None
    learning_rate: float | None = None
    drop_mult: float | None = None
    activation_penalty: float | None = None
    temporal_penalty: float | None = None
    reset_state: bool = True
    batch_size: int | None = None
    bptt: int = 72
    precision: str | None = None
    skip_nonfinite: int = 0
    seed: int = 0
    devices: int | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        check_precision(self.precision)
        LANGUAGE_MODEL_DROPOUTS.scaled(1.0 if self.drop_mult is None else self.drop_mult)  # in range, or refused


def untrained(
    texts: Iterable[str],
    preset_name: str,
    tokenizer_name: str,
    backwards: bool,
    folder: Path | None,
    fingerprint: str | None,
) -> Artifact:
    """A model from scratch before its training: a tokeniser trained on `texts`, sizes, no parameters.

    The tokeniser is kept in the run `folder`, if there is one, and found again there by its name, size and the
    `fingerprint` of the texts.
    """
    largest = preset(preset_name).vocabulary_size
    if folder is None:
        tokenizer = tokenizer_trainer(tokenizer_name)(texts, largest)
    else:
        fingerprint = fingerprint or texts_fingerprint(texts)
        wanted = hashlib.sha256(f"{tokenizer_name} {largest} {fingerprint}".encode()).hexdigest()
        kept = folder / "tokenizers" / wanted[:16]
        with first_process_first("the tokeniser"):
            if not (kept / "tokenizer.json").is_file():  # written last
                tokenizer_trainer(tokenizer_name)(texts, largest).save(kept)
        tokenizer = load_tokenizer(kept)
    sizes = preset(preset_name, len(tokenizer.vocabulary))
    return Artifact("language_model", sizes, tokenizer, {}, backwards=backwards)


def with_words_of(start: Artifact, texts: Iterable[str]) -> Artifact:
    """A word model moved to the vocabulary of new texts: new words start at the mean of the old rows.

    A model whose tokeniser serves any text is returned as it is.
    """
    if not start.tokenizer.closed_vocabulary:
        return start
    tokenizer = start.tokenizer.adapted(texts, max(start.architecture.vocabulary_size, 60_000))
    match = match_vocabularies(start.tokenizer.vocabulary, tokenizer.vocabulary)
    encoder, decoder = start.parameters["encoder"], start.parameters["decoder"]
    _LOG.info("%s", match)
    embedding, bias = apply_match(match, np.asarray(encoder["embedding"]), np.asarray(decoder["bias"]))
    sizes = Architecture(**{**start.architecture.to_dict(), "vocabulary_size": len(tokenizer.vocabulary)})
    return Artifact(
        "language_model",
        sizes,
        tokenizer,
        {**start.parameters, "encoder": {**encoder, "embedding": embedding}, "decoder": {"bias": bias}},
        backwards=start.backwards,
        provenance={**start.provenance, "vocabulary": str(match)},
    )


def fit_language_model(
    start: Artifact,
    name: str,
    texts: Iterable[str],
    valid_texts: Sequence[str] | None,
    options: LanguageModelOptions,
    folder: Path | None,
    fingerprint: str | None,
    workers: int,
) -> tuple[Artifact, list[dict[str, Any]]]:
    """Train from `start` (called `name` on the card) on texts; see `LanguageModel.fit`.

    `fingerprint` is that of the texts, needed where there is a run `folder`.

    Returns:
        The trained model and the rows of the table of epochs.
    """
    progress = ConsoleProgress() if options.verbose and is_first() else None
    if progress and "vocabulary" in start.provenance:
        progress.message(start.provenance["vocabulary"])
    cache = folder / "tokens" if folder else None
    with first_process_first("the tokens"):
        train = cached_corpus(texts, start.tokenizer, cache, workers, fingerprint)
        valid = cached_corpus(valid_texts, start.tokenizer, cache, workers) if valid_texts is not None else None
    if valid_texts is None:
        train, valid = _hold_out(train)
    stages = _stages(train, start, options)
    settings = _settings(train, start, stages, options)
    config = {
        "task": "language_model",
        "architecture": start.architecture.to_dict(),
        "tokenizer": start.tokenizer.fingerprint(),
        "pretrained": name,
        "start": parameters_fingerprint(start.parameters),
        "texts": fingerprint,
        "tokens": train.n_tokens,
        "settings": vars(settings),
        "stages": [stage.to_dict() for stage in stages],
        "seed": options.seed,
    }
    run = RunFolder(folder, config) if folder else None
    context = RunContext(Devices(options.devices), run, LoopOptions(skip_nonfinite=options.skip_nonfinite), progress)
    result = train_language_model(
        start.architecture, start.parameters or None, train, valid, stages, settings, options.seed, context
    )
    return _finished(start, result.parameters, config, result.history), result.history


def _hold_out(corpus: Corpus) -> tuple[Corpus, Corpus | None]:
    """The last documents aside, to measure on; nothing where there are too few."""
    documents = min(int(len(corpus) * VALIDATION_SHARE), 2_000)
    return corpus.split(len(corpus) - documents) if documents else (corpus, None)


def _settings(
    train: Corpus, start: Artifact, stages: Sequence[Stage], options: LanguageModelOptions
) -> LanguageModelSettings:
    defaults = READ_ONCE if sum(stage.epochs for stage in stages) == 1 else REGULARISED
    chosen = {name: getattr(options, name) for name in defaults}
    return LanguageModelSettings(
        batch_size=options.batch_size or language_model_batch_size(train.n_tokens, options.bptt),
        bptt=options.bptt,
        reset_state=options.reset_state,
        precision=chosen_precision(options.precision),
        backwards=start.backwards,
        **{name: defaults[name] if value is None else value for name, value in chosen.items()},
    )


def _stages(train: Corpus, start: Artifact, options: LanguageModelOptions) -> list[Stage]:
    epochs = language_model_epochs(train.n_tokens) if options.epochs is None else options.epochs
    if not start.parameters:
        return pretrain_stages(epochs, options.learning_rate or SCRATCH_RATE)
    brings_new_rows = start.tokenizer.closed_vocabulary
    frozen = int(brings_new_rows) if options.frozen_epochs is None else options.frozen_epochs
    default_rate = FINE_TUNING_RATE_ONCE if epochs + frozen == 1 else FINE_TUNING_RATE
    stages = language_model_stages(epochs, frozen, learning_rate=options.learning_rate or default_rate)
    if not stages:
        raise ConfigError("epochs and frozen_epochs are both 0: nothing would be trained")
    return stages


def _finished(start: Artifact, parameters: Tree, config: dict[str, Any], history: list[dict[str, Any]]) -> Artifact:
    last = {name: value for name, value in history[-1].items() if name not in ("stage", "epoch")}
    provenance = {
        "trained_from": config["pretrained"],
        "training": {name: config[name] for name in ("tokens", "seed")} | config["settings"],
        "stages": [stage["name"] for stage in config["stages"]],
        "last_epoch": last,
    }
    return Artifact(
        "language_model",
        start.architecture,
        start.tokenizer,
        parameters,
        backwards=start.backwards,
        settings={name: config["settings"][name] for name in ("bptt", "reset_state")},
        provenance=provenance,
    )
