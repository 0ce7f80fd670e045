"""`LanguageModel`: pretrain, fine-tune, measure, generate, save and load."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.data.corpus import Corpus, cached_corpus, corpus_in_memory
from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.inference.generate import Generator
from ulmfit_jax.nn.architecture import Architecture, preset
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.text.vocabulary import apply_match, match_vocabularies
from ulmfit_jax.text.words import WordTokenizer
from ulmfit_jax.training.language_model import evaluation_step, language_model_definition, stream_scores
from ulmfit_jax.training.loop import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import (
    LanguageModelSettings,
    RunContext,
    language_model_stages,
    pretrain_stages,
    train_language_model,
    validation_stream,
)
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.scaling import language_model_batch_size, language_model_epochs
from ulmfit_jax.training.stages import Stage

VALIDATION_SHARE = 0.05
"""Share of the documents, the last ones, that measure a language model when no others are given."""


class LanguageModel:
    """An AWD-LSTM language model with its tokeniser.

    Attributes set by `fit` or `load`: `tokenizer`, `architecture`, `parameters` (nested dictionary of NumPy arrays),
    `history` (the rows of the table of epochs) and `provenance`.
    """

    def __init__(
        self,
        pretrained: str | Path | None = None,
        preset: str | None = None,
        *,
        tokenizer: str = "sentencepiece",
        backwards: bool = False,
        epochs: int | None = None,
        frozen_epochs: int | None = None,
        learning_rate: float | None = None,
        drop_mult: float | None = None,
        batch_size: int | None = None,
        bptt: int = 72,
        seed: int = 0,
        devices: int | None = None,
        verbose: bool = False,
    ):
        """Choose what to start from; nothing is read or computed before `fit`.

        Args:
            pretrained: a shipped model's name or a model folder, which fixes architecture, tokeniser and direction.
                None starts from scratch with a `preset`.
            preset: `ulmfit`, `small` or `tiny`; `small` if nothing is said. Only without `pretrained`.
            tokenizer: `sentencepiece` or `words`; only without `pretrained`.
            backwards: learn to predict each document from its end. Only without `pretrained`.
            epochs: passes over the text with all layers. Default: from the amount of text (`training.scaling`).
            frozen_epochs: passes before that with only embedding and decoder. Default: 1 for a word vocabulary, which
                brings new rows (as in the notebook), otherwise 0.
            learning_rate: peak rate with all layers; 1e-3 for fine-tuning (notebook), 5e-3 from scratch.
            drop_mult: scales the dropouts; 1 in fastai. Default 0.5 for fine-tuning, 0.1 from scratch with one epoch.
            batch_size: rows of the token stream; default 64 (fastai), fewer for little text.
            bptt: tokens of a batch in each row; 72 in fastai.
            seed: of everything that is drawn.
            devices: how many devices to use; all by default.
            verbose: print a table of epochs and, on a terminal, a progress bar to standard error.
        """
        self.pretrained, self.preset, self.tokenizer_kind, self.backwards = pretrained, preset, tokenizer, backwards
        self.epochs, self.frozen_epochs, self.learning_rate = epochs, frozen_epochs, learning_rate
        self.drop_mult, self.batch_size, self.bptt = drop_mult, batch_size, bptt
        self.seed, self.devices, self.verbose = seed, devices, verbose
        self._artifact: Artifact | None = None
        self._generator: Generator | None = None
        self.history: list[dict[str, Any]] = []
        if pretrained is not None and preset is not None:
            raise ConfigError("preset is only for pretrained=None: a pretrained model has its own sizes")
        if tokenizer not in (SentencePieceTokenizer.kind, WordTokenizer.kind):
            raise ConfigError(f"tokenizer is {tokenizer!r}: choose 'sentencepiece' or 'words'")

    def fit(
        self,
        texts: Iterable[str],
        valid_texts: Sequence[str] | None = None,
        *,
        run_dir: str | Path | None = None,
        workers: int = 1,
    ) -> LanguageModel:
        """Train on texts: fine-tune the pretrained model, or train a tokeniser and a model from scratch.

        Args:
            texts: documents; a list, or any collection that can be read more than once (`ulmfit_jax.data.TextStream`).
            valid_texts: documents to measure on after each epoch; by default the last 5 % of `texts`, held out.
            run_dir: folder that keeps tokens and training state; the same call goes on with an interrupted run.
            workers: processes that tokenise.

        Raises:
            DataError: there is too little text.
            ConfigError, ArtifactError, TrainingError: see their sentences.
        """
        folder = Path(run_dir) if run_dir is not None else None
        start = self.starting_point(texts)
        cache = folder / "tokens" if folder else None
        train = cached_corpus(texts, start.tokenizer, cache, workers)
        if valid_texts is None:
            train, valid = _hold_out(train)
        else:
            valid = cached_corpus(valid_texts, start.tokenizer, cache, workers)
        settings, stages = self._settings(train, start), self._stages(train, start)
        config = {
            "task": "language_model",
            "architecture": start.architecture.to_dict(),
            "tokenizer": start.tokenizer.fingerprint(),
            "pretrained": str(self.pretrained),
            "tokens": train.n_tokens,
            "settings": vars(settings),
            "stages": [stage.to_dict() for stage in stages],
            "seed": self.seed,
        }
        context = RunContext(
            Devices(self.devices),
            RunFolder(folder, config) if folder else None,
            LoopOptions(),
            ConsoleProgress() if self.verbose else None,
        )
        result = train_language_model(
            start.architecture, start.parameters or None, train, valid, stages, settings, self.seed, context
        )
        self.history = result.history
        self._set(self._finished(start, result.parameters, config))
        return self

    @property
    def artifact(self) -> Artifact:
        """The trained model as plain data.

        Raises:
            ArtifactError: there is none yet.
        """
        if self._artifact is None:
            if self.pretrained is None:
                raise ArtifactError("this language model is not trained yet: call fit, or load one")
            self._set(load_artifact(model_folder(self.pretrained), "language_model"))
        assert self._artifact is not None
        return self._artifact

    @property
    def tokenizer(self) -> Tokenizer:
        """Makes the model's ids."""
        return self.artifact.tokenizer

    @property
    def architecture(self) -> Architecture:
        """The model's sizes."""
        return self.artifact.architecture

    @property
    def parameters(self) -> Tree:
        """`{"encoder": …, "decoder": …}`, NumPy arrays."""
        return self.artifact.parameters

    def perplexity(self, texts: Sequence[str] | str) -> float:
        """Perplexity per token of this model's own tokeniser over texts read one after the other.

        Compare it only between models with the same tokeniser.

        Raises:
            DataError: there are fewer than two tokens.
        """
        texts = [texts] if isinstance(texts, str) else texts
        corpus, devices = corpus_in_memory(texts, self.tokenizer), Devices(1)
        settings = LanguageModelSettings(batch_size=8, bptt=self.bptt, backwards=self.artifact.backwards)
        stream = validation_stream(corpus, settings, 1)
        if stream is None:
            raise DataError("the texts have fewer than two tokens: there is nothing to predict")
        step = evaluation_step(language_model_definition(self.architecture), devices)
        loss, _, tokens = stream_scores(step, devices.replicate(self.parameters), stream, self.architecture, devices)
        return math.exp(loss / tokens)

    def generate(
        self,
        prompt: str = "",
        n_words: int = 40,
        temperature: float = 0.75,
        min_p: float = 0.0,
        seed: int | None = None,
    ) -> str:
        """Continue a text.

        Args:
            prompt: how the text begins.
            n_words: words to add at the most.
            temperature: 1 draws from the model's probabilities; less prefers likely words (the notebook uses 0.75).
            min_p: tokens with a lower probability are never drawn.
            seed: of the draw; the model's own by default.

        Returns:
            The prompt as the tokeniser shows it, and its continuation.

        Raises:
            ConfigError: a number is out of its range, or the model reads backwards.
        """
        if self.artifact.backwards:
            raise ConfigError("this language model reads backwards, it cannot continue a text: load a forward one")
        if self._generator is None:
            self._generator = Generator(self.architecture, self.parameters, self.tokenizer)
        return self._generator.generate(prompt, n_words, temperature, min_p, self.seed if seed is None else seed)

    def save(self, folder: str | Path, *, half_precision: bool = False) -> None:
        """Write a model folder (see `ulmfit_jax.artifact`); `half_precision` stores 16-bit floats."""
        save_artifact(self.artifact, Path(folder), half_precision)

    def save_encoder(self, folder: str | Path) -> None:
        """Write the encoder alone, without the decoder's bias: all that a classifier needs."""
        encoder = {"encoder": self.parameters["encoder"]}
        values = {**vars(self.artifact), "kind": "encoder", "parameters": encoder}
        save_artifact(Artifact(**values), Path(folder))

    @classmethod
    def load(cls, folder: str | Path, **options: Any) -> LanguageModel:
        """The language model of a folder or a shipped one by name; `options` as for the constructor.

        Raises:
            ArtifactError: missing, damaged or another kind of model.
        """
        model = cls(pretrained=folder, **options)
        _ = model.artifact
        return model

    @classmethod
    def from_artifact(cls, artifact: Artifact, name: str, **options: Any) -> LanguageModel:
        """A language model or encoder that is loaded already, called `name` in messages and cards."""
        model = cls(pretrained=name, **options)
        model._set(artifact)
        return model

    def starting_point(self, texts: Iterable[str]) -> Artifact:
        """What `fit` would start from: the pretrained model, or, from scratch, a tokeniser trained on `texts` and
        sizes.

        A pretrained word model is moved to the vocabulary of `texts`; a model from scratch has no parameters yet.
        """
        if self.pretrained is None and self._artifact is None:
            return self._from_scratch(texts)
        start = self.artifact
        return _match_words(start, texts) if start.tokenizer.kind == WordTokenizer.kind and start.kind != "encoder" else start

    def _set(self, artifact: Artifact) -> None:
        self._artifact, self._generator = artifact, None

    def _from_scratch(self, texts: Iterable[str]) -> Artifact:
        sizes = preset(self.preset or "small")
        tokenizer: Tokenizer
        if self.tokenizer_kind == WordTokenizer.kind:
            tokenizer = WordTokenizer.train(texts, max_size=sizes.vocabulary_size)
        else:
            tokenizer = SentencePieceTokenizer.train(texts, vocabulary_size=sizes.vocabulary_size)
        sizes = preset(self.preset or "small", len(tokenizer.vocabulary))
        return Artifact("language_model", sizes, tokenizer, {}, backwards=self.backwards)

    def _settings(self, train: Corpus, start: Artifact) -> LanguageModelSettings:
        default_mult = 0.5 if start.parameters else 0.1
        return LanguageModelSettings(
            batch_size=self.batch_size or language_model_batch_size(train.n_tokens, self.bptt),
            bptt=self.bptt,
            drop_mult=default_mult if self.drop_mult is None else self.drop_mult,
            backwards=start.backwards,
        )

    def _stages(self, train: Corpus, start: Artifact) -> list[Stage]:
        epochs = language_model_epochs(train.n_tokens) if self.epochs is None else self.epochs
        if not start.parameters:
            return pretrain_stages(max(epochs, 1), self.learning_rate or 5e-3)
        frozen = int(start.tokenizer.kind == WordTokenizer.kind) if self.frozen_epochs is None else self.frozen_epochs
        stages = language_model_stages(epochs, frozen, learning_rate=self.learning_rate or 1e-3)
        if not stages:
            raise ConfigError("epochs and frozen_epochs are both 0: nothing would be trained")
        return stages

    def _finished(self, start: Artifact, parameters: Tree, config: dict[str, Any]) -> Artifact:
        last = {name: value for name, value in self.history[-1].items() if name not in ("stage", "epoch")}
        provenance = {
            "trained_from": str(self.pretrained or "scratch"),
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
            settings={"bptt": self.bptt},
            provenance=provenance,
        )


def _hold_out(corpus: Corpus) -> tuple[Corpus, Corpus | None]:
    """The last documents aside, to measure on; nothing where there are too few."""
    documents = min(int(len(corpus) * VALIDATION_SHARE), 2_000)
    return corpus.split(len(corpus) - documents) if documents else (corpus, None)


def _match_words(start: Artifact, texts: Iterable[str]) -> Artifact:
    """A word model moved to the vocabulary of new texts: new words start at the mean of the old rows."""
    tokenizer = WordTokenizer.train(texts, max_size=max(start.architecture.vocabulary_size, 60_000))
    match = match_vocabularies(start.tokenizer.vocabulary, tokenizer.vocabulary)
    encoder, decoder = start.parameters["encoder"], start.parameters["decoder"]
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
