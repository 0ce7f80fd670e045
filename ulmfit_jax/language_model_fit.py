"""How a language model comes out of texts: what it starts from, and the run of its plan."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.counted import counted
from ulmfit_jax.data.corpus import cached_corpus, texts_fingerprint
from ulmfit_jax.language_model_plan import LanguageModelOptions, LanguageModelPlan, language_model_plan
from ulmfit_jax.nn.architecture import Architecture, preset
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint
from ulmfit_jax.option_ranges import make_whole
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.text.sentencepiece_training import check_vocabulary_size
from ulmfit_jax.text.tokenizer import load_tokenizer, tokenizer_trainer
from ulmfit_jax.text.vocabulary import apply_match, match_vocabularies
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first, is_first
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import RunContext, train_language_model

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scratch:
    """What a model from scratch is made of; `LanguageModel` documents each."""

    preset: str
    tokenizer: str
    backwards: bool
    vocabulary_size: int | None = None
    character_coverage: float | None = None

    def __post_init__(self) -> None:
        make_whole(self, "vocabulary_size")
        if self.vocabulary_size is not None:
            check_vocabulary_size(self.vocabulary_size)
        tokenizer_trainer(self.tokenizer, self.character_coverage)  # there is one, or it is refused

    @property
    def largest(self) -> int:
        """The most tokens that its vocabulary may have."""
        return self.vocabulary_size or preset(self.preset).vocabulary_size

    @property
    def name(self) -> str:
        """What decides its tokeniser besides the texts."""
        covering = "" if self.character_coverage is None else f" {self.character_coverage}"
        return f"{self.tokenizer} {self.largest}{covering}"


def untrained(texts: Iterable[str], scratch: Scratch, folder: Path | None, fingerprint: str | None) -> Artifact:
    """A model from scratch before its training: a tokeniser trained on `texts`, sizes, no parameters.

    The tokeniser is kept in the run `folder`, if there is one, and found again there by its name, size and the
    `fingerprint` of the texts.
    """
    trained = tokenizer_trainer(scratch.tokenizer, scratch.character_coverage)
    if folder is None:
        tokenizer = trained(texts, scratch.largest)
    else:
        fingerprint = fingerprint or texts_fingerprint(texts)
        wanted = hashlib.sha256(f"{scratch.name} {fingerprint}".encode()).hexdigest()
        kept = folder / "tokenizers" / wanted[:16]
        with first_process_first("the tokeniser"):
            if not (kept / "tokenizer.json").is_file():  # written last
                trained(texts, scratch.largest).save(kept)
        tokenizer = load_tokenizer(kept)
    sizes = preset(scratch.preset, len(tokenizer.vocabulary))
    return Artifact("language_model", sizes, tokenizer, {}, backwards=scratch.backwards)


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
    plan = language_model_plan(start, train, valid, options)
    config = language_model_configuration(plan, name, fingerprint)
    if valid_texts is not None:
        config["valid_texts"] = texts_fingerprint(valid_texts)
    run = RunFolder(folder, config) if folder else None
    context = RunContext(Devices(options.devices), run, LoopOptions(skip_nonfinite=options.skip_nonfinite), progress)
    result = train_language_model(
        start.architecture,
        start.parameters or None,
        plan.train,
        plan.valid,
        plan.stages,
        plan.settings,
        options.seed,
        context,
    )
    return _finished(start, result.parameters, config, result.history), result.history


def language_model_configuration(plan: LanguageModelPlan, name: str, fingerprint: str | None) -> dict[str, Any]:
    """What a run folder keeps of a training, which starts from a model called `name`, to know it again."""
    return {
        "task": "language_model",
        "architecture": plan.start.architecture.to_dict(),
        "tokenizer": plan.start.tokenizer.fingerprint(),
        "pretrained": name,
        "start": parameters_fingerprint(plan.start.parameters),
        "texts": fingerprint,
        "tokens": plan.train.n_tokens,
        "settings": vars(plan.settings),
        "stages": [stage.to_dict() for stage in plan.stages],
        "seed": plan.seed,
    }


def _finished(start: Artifact, parameters: Tree, config: dict[str, Any], history: list[dict[str, Any]]) -> Artifact:
    last = {name: value for name, value in history[-1].items() if name not in ("stage", "epoch")}
    provenance = {
        "trained_from": config["pretrained"],
        "training": {name: config[name] for name in ("tokens", "seed")} | config["settings"],
        "stages": [f"{stage['name']}, {counted(stage['epochs'], 'epoch')}" for stage in config["stages"]],
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
