"""`LanguageModel`: pretrain, fine-tune, measure, generate, save and load."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.data.corpus import texts_fingerprint
from ulmfit_jax.data.lists import check_rereadable
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.foreign_text import foreign_text_note
from ulmfit_jax.inference.encode import DocumentEncoder
from ulmfit_jax.inference.perplexity import perplexity
from ulmfit_jax.interop.fastai_import import import_fastai
from ulmfit_jax.language_model_fit import Scratch, fit_language_model, untrained, with_words_of
from ulmfit_jax.language_model_plan import LanguageModelOptions
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.training.compiled_programs import kept_programs
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.writer import Writer

_LOG = logging.getLogger(__name__)


class LanguageModel(Writer):
    """An AWD-LSTM language model with its tokeniser; from scratch unless `pretrained` names one to start from.

    Attributes set by `fit` or `load`: `tokenizer`, `architecture`, `parameters` (nested dictionary of NumPy arrays),
    and `history` (the rows of the table of epochs).
    """

    def __init__(
        self,
        pretrained: str | Path | None = None,
        preset: str | None = None,
        *,
        tokenizer: str = "sentencepiece",
        vocabulary_size: int | None = None,
        character_coverage: float | None = None,
        backwards: bool = False,
        epochs: int | None = None,
        frozen_epochs: int | None = None,
        learning_rate: float | None = None,
        drop_mult: float | None = None,
        activation_penalty: float | None = None,
        temporal_penalty: float | None = None,
        reset_state: bool = True,
        batch_size: int | None = None,
        bptt: int = 72,
        precision: str | None = None,
        skip_nonfinite: int = 0,
        seed: int = 0,
        devices: int | None = None,
        verbose: bool = False,
    ):
        """Choose what to start from; nothing is read or computed before `fit`.

        Args:
            pretrained: a shipped model's name or a model folder, which fixes architecture, tokeniser and direction.
                None starts from scratch with a `preset`.
            preset: `ulmfit`, `small` or `tiny`; `small` if nothing is said. Only without `pretrained`.
            tokenizer: `sentencepiece`, `words`, or `spacy` and `spacy:LANGUAGE` for words as fastai cuts them, which
                needs the extra `spacy`. Only without `pretrained`.
            vocabulary_size: the most tokens that the tokeniser is trained for; default: the preset's. Only without
                `pretrained`.
            character_coverage: of `sentencepiece`, the share of all running characters whose kinds get a piece of their
                own; default 0.9998 (fastai's for languages from outside Europe, for others 0.99999). Of languages with
                thousands of characters less may be had, of text with rare signs that matter more. Only without
                `pretrained`.
            backwards: learn to predict each document from its end. Only without `pretrained`.
            epochs: passes over the text with all layers. Default: from the amount of text (`training.scaling`).
            frozen_epochs: passes before that with only embedding and decoder. Default: 1 for a word vocabulary, which
                brings new rows (as in the notebook), otherwise 0. Only with `pretrained`.
            learning_rate: peak rate with all layers. Default: 5e-3 from scratch; in fine-tuning from 4e-3 (the paper)
                where the text is read once or twice to 1e-3 (the notebook) where it is read ten times.
            drop_mult: scales the dropouts; 1 in fastai. Default 0.5, but 0.1 where the text is read only once.
            activation_penalty: AR; default 2 (fastai, the paper), but 0 where the text is read only once.
            temporal_penalty: TAR; default 1 (fastai, the paper), but 0 where the text is read only once.
            reset_state: start each document from the zero state, which is where a classifier and a generated text
                begin too; False carries the state over from the document before, as fastai does.
            batch_size: rows of the token stream; default 64 (fastai), fewer for little text.
            bptt: tokens of a batch in each row; 72 in fastai.
            precision: what the operands of matrix products are rounded to in training, `float32` or `bfloat16`, which
                is faster where the processor has it. Default: bfloat16 on accelerators, float32 on CPUs.
            skip_nonfinite: how many steps may be left out because a loss or gradient is not finite; the next one ends
                the training with an error.
            seed: of everything that is drawn.
            devices: how many devices to use; all by default.
            verbose: print a table of epochs and, on a terminal, a progress bar to standard error.
        """
        if pretrained is not None and preset is not None:
            raise ConfigError("preset is only for pretrained=None: a pretrained model has its own sizes")
        only = {
            "backwards": (backwards, "direction"),
            "tokenizer": (tokenizer != "sentencepiece", "tokeniser"),
            "vocabulary_size": (vocabulary_size is not None, "vocabulary"),
            "character_coverage": (character_coverage is not None, "vocabulary"),
        }
        for name, (is_given, what) in only.items():
            if pretrained is not None and is_given:
                raise ConfigError(f"{name} is only for pretrained=None: a pretrained model has its own {what}")
        if pretrained is None and frozen_epochs:
            raise ConfigError("frozen_epochs is only for a pretrained model: from scratch all layers learn at once")
        self.pretrained = pretrained
        self.options = LanguageModelOptions(
            epochs,
            frozen_epochs,
            learning_rate,
            drop_mult,
            activation_penalty,
            temporal_penalty,
            reset_state,
            batch_size,
            bptt,
            precision,
            skip_nonfinite,
            seed,
            devices,
            verbose,
        )
        self._scratch = Scratch(preset or "small", tokenizer, backwards, vocabulary_size, character_coverage)
        self._start: Artifact | None = None
        """What `fit` starts from, once it is there."""
        self._artifact: Artifact | None = None
        self._encoder: DocumentEncoder | None = None
        self.history: list[dict[str, Any]] = []

    def __getstate__(self) -> dict[str, Any]:
        """For copies and worker processes: without the programs that are compiled for this process's devices."""
        return {**vars(self), "_generator": None, "_encoder": None}

    def __repr__(self) -> str:
        """What it starts from, or is."""
        start = repr(str(self.pretrained)) if self.pretrained is not None else f"preset={self._scratch.preset!r}"
        return f"LanguageModel({start}{', trained' if self.history else ''})"

    def fit(
        self,
        texts: Iterable[str],
        valid_texts: Sequence[str] | None = None,
        *,
        run_dir: str | Path | None = None,
        workers: int = 1,
    ) -> LanguageModel:
        """Train on texts: fine-tune the pretrained model, or train a tokeniser and a model from scratch.

        A second call starts anew; to go on from what was learnt, save it and start from there.

        Args:
            texts: documents; a list, or any collection that can be read more than once (`ulmfit_jax.data.TextStream`).
            valid_texts: documents to measure on after each epoch; by default the last 5 % of `texts`, at most 2,000,
                held out.
            run_dir: folder of tokens, programs and training states; the same call goes on with an interrupted run.
            workers: processes that tokenise.

        Raises:
            DataError: there is too little text, or it is one string, or can be read only once.
            ConfigError, ArtifactError, TrainingError: see their sentences.
        """
        check_rereadable(texts)
        if valid_texts is not None:
            check_rereadable(valid_texts, "valid_texts")
        folder = Path(run_dir) if run_dir is not None else None
        fingerprint = texts_fingerprint(texts) if folder else None
        with kept_programs(folder):
            artifact, self.history = fit_language_model(
                self.starting_point(texts, folder, fingerprint),
                self.start_name,
                texts,
                valid_texts,
                self.options,
                folder,
                fingerprint,
                workers,
            )
        self._set(artifact)
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
            self._set(self._loaded())
        assert self._artifact is not None
        return self._artifact

    @property
    def start_name(self) -> str:
        """What training starts from, as cards and run folders call it: `pretrained`, or "scratch"."""
        return "scratch" if self.pretrained is None else str(self.pretrained)

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
        """Perplexity per token of this model's own tokeniser over texts read one after the other, in 8 rows if long.

        Compare it only between models with the same tokeniser.

        Raises:
            DataError: there are fewer than two tokens.
        """
        return perplexity(self.artifact, [texts] if isinstance(texts, str) else texts, self.options.bptt)

    @property
    def seed(self) -> int:
        """Of what is drawn where no other seed is given."""
        return self.options.seed

    def encode(self, texts: Sequence[str] | str) -> np.ndarray:
        """Vectors of documents for search and clustering, `[documents, 3 * embedding]` float32.

        Last output, maximum and mean of the encoder over a document's tokens, as a classifier's head would get them.
        For nearness, bring the columns to one scale first (docs/how-to/few-labels.md).
        """
        if self._encoder is None:
            self._encoder = DocumentEncoder(self.artifact, Devices(self.options.devices))
        return self._encoder.encode(texts)

    def save(
        self,
        folder: str | Path,
        *,
        half_precision: bool = False,
        mantissa_bits: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a model folder (see `ulmfit_jax.artifact`).

        Args:
            folder: its place; a model folder there is replaced, but nothing that holds another file.
            half_precision: store 16-bit floats.
            mantissa_bits: round matrices to so many bits of mantissa (16-bit floats have 10); with 3 a folder has
                60 % of the size that 16-bit floats take, and probabilities differ by some thousandths.
            provenance: more of where the model comes from, for its card: plain values by name. None: nothing.

        Raises:
            ArtifactError: the place holds something that is not a model folder, or cannot be written.
            ConfigError: there is no such number of bits.
        """
        described = {**self.artifact.provenance, **(provenance or {})}
        save_artifact(replace(self.artifact, provenance=described), Path(folder), half_precision, mantissa_bits)

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
        model._start = artifact
        model._set(artifact)
        return model

    @classmethod
    def from_fastai(
        cls, weights: str | Path, vocabulary: str | Path, language: str = "en", backwards: bool = False, **options: Any
    ) -> LanguageModel:
        """A language model that fastai saved; arguments of `interop.import_fastai`, `options` as for the constructor.

        Raises:
            ArtifactError, ConfigError: what `import_fastai` raises, or the file holds an encoder alone.
        """
        artifact = import_fastai(weights, vocabulary, language=language, backwards=backwards)
        if artifact.kind == "encoder":
            raise ArtifactError(
                f"{weights} holds an encoder alone: make a folder of it with ulmfit import-fastai, and give that to "
                "TextClassifier(pretrained=...)"
            )
        return cls.from_artifact(artifact, Path(weights).name, **options)

    def starting_point(
        self,
        texts: Iterable[str],
        folder: Path | None = None,
        fingerprint: str | None = None,
        *,
        is_trained: bool = True,
    ) -> Artifact:
        """What `fit` starts from: the pretrained model or, from scratch, a tokeniser trained on `texts`, and sizes.

        A pretrained word model is moved to the vocabulary of `texts`; but where it is not trained on them, which would
        give new words a meaning, it keeps the words that it knows (`is_trained`). A model from scratch has no
        parameters yet; its tokeniser is kept in the run `folder`, if one is given, under the `fingerprint` of the
        texts. Texts that a shipped model hardly knows are warned of.
        """
        if self.pretrained is None:
            return untrained(texts, self._scratch, folder, fingerprint)
        start = self._loaded()
        if said := foreign_text_note(self.pretrained, start.tokenizer, texts):
            _LOG.warning("%s", said)
        return with_words_of(start, texts) if is_trained and start.kind == "language_model" else start

    def _loaded(self) -> Artifact:
        """The pretrained model, read once."""
        if self._start is None:
            self._start = load_artifact(model_folder(self.start_name), "language_model")
        return self._start

    def _set(self, artifact: Artifact) -> None:
        self._artifact, self._generator, self._encoder = artifact, None, None
