"""`TextClassifier`: from texts and labels to a trained, saved and reloaded classifier, through all of ULMFiT."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.data.corpus import cached_corpus, corpus_in_memory, texts_fingerprint
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.data.split import train_validation_split
from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.loop import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import (
    ClassifierSettings,
    RunContext,
    fine_tune_stages,
    gradual_unfreezing_stages,
    train_classifier,
)
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.scaling import classifier_batch_size, unfreezing_epochs
from ulmfit_jax.training.stages import Stage

Texts = Sequence[str]


class TextClassifier:
    """ULMFiT as one estimator: fine-tunes a language model on the texts, then a classifier on its encoder.

    Attributes set by `fit` or `load`: `classes_` (names of the classes, sorted, the order of the probabilities),
    `history_` (rows of the table of epochs: language model, then classifier) and `seconds_` (time of each part).
    """

    def __init__(
        self,
        pretrained: str | Path | LanguageModel | None = "wikipedia-small",
        preset: str | None = None,
        *,
        recipe: str = "gradual_unfreezing",
        lm_epochs: int | None = None,
        lm_learning_rate: float | None = None,
        lm_drop_mult: float | None = None,
        lm_batch_size: int | None = None,
        epochs: int | Sequence[int] | None = None,
        learning_rate: float | None = None,
        drop_mult: float = 0.5,
        batch_size: int | None = None,
        label_smoothing: float = 0.0,
        weight_decay: float = 0.01,
        validation_fraction: float = 0.1,
        keep_best: bool = False,
        max_length: int = MAX_LENGTH,
        bptt: int = 72,
        seed: int = 0,
        devices: int | None = None,
        verbose: bool = False,
    ):
        """Choose a recipe; nothing is read or computed before `fit`.

        Args:
            pretrained: a shipped language model's name, a folder (language model or encoder), or a `LanguageModel`; it
                fixes architecture and tokeniser. None starts from scratch with a `preset`.
            preset: `ulmfit`, `small` or `tiny`; only with `pretrained=None`, `small` if nothing is said.
            recipe: `gradual_unfreezing` (the notebook's four stages) or `fine_tune` (fastai's: head, then everything).
            lm_epochs: passes of language-model fine-tuning over texts and unlabelled texts; 0 skips it, None chooses by
                the amount of text.
            lm_learning_rate: peak rate of that; 1e-3 (notebook), 5e-3 from scratch.
            lm_drop_mult: scales its dropouts; see `LanguageModel`.
            lm_batch_size: rows of its token stream; see `LanguageModel`.
            epochs: of the classifier: four numbers for the stages of gradual unfreezing, (1, 1, 1, 2) in the notebook,
                or one for `fine_tune` (4 in the notebook). None chooses by the number of documents.
            learning_rate: peak rate of the first stage; 2e-2 (notebook), 1e-2 for `fine_tune`.
            drop_mult: scales the classifier's dropouts; 0.5 in fastai.
            batch_size: documents of a batch; 64 in fastai, fewer for few documents.
            label_smoothing: weight of the uniform distribution in the target; 0, or 0.1 as in MultiFiT.
            weight_decay: 0.01 in fastai, 0.1 in its older notebooks.
            validation_fraction: share of the labelled texts that measures each epoch and is not trained on; 0 trains on
                everything and measures nothing.
            keep_best: end with the parameters of the epoch with the lowest validation loss instead of the last.
            max_length: tokens at a document's end that are pooled and trained on; 1,440 in fastai.
            bptt: tokens of a chunk; 72 in fastai.
            seed: of everything that is drawn.
            devices: how many devices to use; all by default.
            verbose: print tables of epochs and, on a terminal, a progress bar to standard error.
        """
        self.pretrained, self.preset, self.recipe = pretrained, preset, recipe
        self.lm_epochs, self.lm_learning_rate = lm_epochs, lm_learning_rate
        self.lm_drop_mult, self.lm_batch_size = lm_drop_mult, lm_batch_size
        self.epochs, self.learning_rate, self.drop_mult, self.batch_size = epochs, learning_rate, drop_mult, batch_size
        self.label_smoothing, self.weight_decay = label_smoothing, weight_decay
        self.validation_fraction, self.keep_best = validation_fraction, keep_best
        self.max_length, self.bptt, self.seed, self.devices, self.verbose = max_length, bptt, seed, devices, verbose
        self._artifact: Artifact | None = None
        self._predictor: Predictor | None = None
        self.history_: list[dict[str, Any]] = []
        self.seconds_: dict[str, float] = {}

    def fit(
        self,
        texts: Texts,
        labels: Sequence[Any],
        unlabeled: Iterable[str] | None = None,
        *,
        run_dir: str | Path | None = None,
        workers: int = 1,
    ) -> TextClassifier:
        """Train on labelled texts, with unlabelled ones for the language model.

        Args:
            texts: documents.
            labels: one for each; strings, or anything whose `str` names the class.
            unlabeled: more documents of the same kind, which only the language model reads.
            run_dir: folder that keeps tokens and training state; the same call goes on with an interrupted run.
            workers: processes that tokenise.

        Raises:
            DataError: no texts, not one label for each, a single class.
            ConfigError, ArtifactError, TrainingError: see their sentences.
        """
        data = TextDataset(_texts(texts), [str(label) for label in labels], "the training data")
        classes = check_labels(data)
        self._check_before_training(data)
        folder = Path(run_dir) if run_dir is not None else None
        self.history_ = []
        started = time.monotonic()
        start = self._fine_tuned([*data.texts, *_texts([] if unlabeled is None else unlabeled)], folder, workers)
        self.seconds_["language_model"] = time.monotonic() - started
        started = time.monotonic()
        self._train_classifier(start, data, classes, folder, workers)
        self.seconds_["classifier"] = time.monotonic() - started
        return self

    @property
    def artifact(self) -> Artifact:
        """The trained classifier as plain data.

        Raises:
            ArtifactError: there is none yet.
        """
        if self._artifact is None:
            raise ArtifactError("this classifier is not trained yet: call fit, or TextClassifier.load")
        return self._artifact

    @property
    def classes_(self) -> np.ndarray:
        """Names of the classes in the order of the probabilities."""
        return np.array(self.artifact.labels)

    def predict_proba(self, texts: Texts | str) -> np.ndarray:
        """Probabilities `[documents, classes]` float32, rows in the order of the texts, each summing to one.

        A document's probabilities are the same whatever it is predicted with.
        """
        if self._predictor is None:
            self._predictor = Predictor(self.artifact, Devices(self.devices))
        documents = corpus_in_memory(_texts([texts] if isinstance(texts, str) else texts), self.artifact.tokenizer)
        probabilities = np.exp(self._predictor.log_probabilities(documents).astype(np.float64))
        return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)

    def predict(self, texts: Texts | str) -> Any:
        """The most probable class of each text, `[documents]` of strings; of one string, one class."""
        best = self.classes_[self.predict_proba(texts).argmax(axis=1)]
        return str(best[0]) if isinstance(texts, str) else best

    def evaluate(self, texts: Texts, labels: Sequence[Any]) -> dict[str, float]:
        """`accuracy`, `error` (1 - accuracy), `loss` (mean cross-entropy in nats) and `n` on labelled texts.

        Raises:
            DataError: no texts, or a label that the model does not know.
        """
        data = TextDataset(_texts(texts), [str(label) for label in labels], "the evaluation data")
        if not len(data):
            raise DataError("there are no texts to evaluate on: give at least one")
        truth = label_indices(data, self.artifact.labels)
        probabilities = self.predict_proba(data.texts)
        accuracy = float((probabilities.argmax(axis=1) == truth).mean())
        picked = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
        loss = float(-np.log(picked).mean())
        return {"accuracy": accuracy, "error": 1 - accuracy, "loss": loss, "n": len(truth)}

    def score(self, texts: Texts, labels: Sequence[Any]) -> float:
        """Accuracy on labelled texts."""
        return self.evaluate(texts, labels)["accuracy"]

    def save(self, folder: str | Path, *, half_precision: bool = False) -> None:
        """Write a model folder (see `ulmfit_jax.artifact`); `half_precision` stores 16-bit floats."""
        save_artifact(self.artifact, Path(folder), half_precision)

    @classmethod
    def load(cls, folder: str | Path, *, devices: int | None = None) -> TextClassifier:
        """The classifier of a model folder, of a finished run's folder, or a shipped one by name.

        Raises:
            ArtifactError: missing, damaged or another kind of model.
        """
        model = cls(devices=devices)
        model._artifact = load_artifact(model_folder(folder), "classifier")
        return model

    def _check_before_training(self, data: TextDataset) -> None:
        """Refuse now what would otherwise be refused after the language model's hours."""
        rows, _ = self._split(data)
        batch_size = self.batch_size or classifier_batch_size(len(rows))
        Devices(self.devices).check_batch(batch_size)
        self._stages(len(rows), batch_size, n_groups=5)

    def _fine_tuned(self, texts: Texts, folder: Path | None, workers: int) -> Artifact:
        """The language model or encoder to start from, fine-tuned on `texts` unless `lm_epochs` is 0."""
        start = self._pretrained_artifact()
        options: dict[str, Any] = {
            "epochs": self.lm_epochs,
            "learning_rate": self.lm_learning_rate,
            "drop_mult": self.lm_drop_mult,
            "batch_size": self.lm_batch_size,
            "bptt": self.bptt,
            "seed": self.seed,
            "devices": self.devices,
            "verbose": self.verbose,
        }
        is_encoder = start is not None and start.kind == "encoder"
        if is_encoder and self.lm_epochs:
            raise ConfigError(
                f"{self.pretrained} is an encoder alone, which cannot be fine-tuned as a language model: "
                "leave lm_epochs out, or give the whole language model"
            )
        if start is None:
            model = LanguageModel(None, self.preset, **options)
        else:
            model = LanguageModel.from_artifact(start, name=str(self.pretrained), **options)
        if is_encoder or self.lm_epochs == 0:
            return model.starting_point(texts)
        model.fit(texts, run_dir=folder and folder / "language_model", workers=workers)
        self.history_ = model.history
        return model.artifact

    def _pretrained_artifact(self) -> Artifact | None:
        """What `pretrained` names; None from scratch."""
        if self.pretrained is not None and self.preset is not None:
            raise ConfigError("preset is only for pretrained=None: a pretrained model has its own sizes")
        if self.pretrained is None:
            return None
        if isinstance(self.pretrained, LanguageModel):
            return self.pretrained.artifact
        artifact = load_artifact(model_folder(self.pretrained))
        if artifact.kind == "classifier":
            raise ArtifactError(f"{self.pretrained} is a classifier: pretrained takes a language model or an encoder")
        return artifact

    def _train_classifier(
        self, start: Artifact, data: TextDataset, classes: Sequence[str], folder: Path | None, workers: int
    ) -> None:
        cache = folder / "tokens" if folder else None
        corpus = cached_corpus(data.texts, start.tokenizer, cache, workers)
        labels = label_indices(data, classes)
        rows, held_out = self._split(data)
        train = (corpus.select(rows), labels[rows])
        valid = (corpus.select(held_out), labels[held_out]) if len(held_out) else None
        settings = ClassifierSettings(
            batch_size=self.batch_size or classifier_batch_size(len(rows)),
            bptt=self.bptt,
            max_length=self.max_length,
            drop_mult=self.drop_mult,
            label_smoothing=self.label_smoothing,
            backwards=start.backwards,
        )
        stages = self._stages(len(rows), settings.batch_size, start.architecture.n_layers + 2)
        head = Head(len(classes))
        config = {
            "task": "classifier",
            "architecture": start.architecture.to_dict(),
            "head": head.to_dict(),
            "tokenizer": start.tokenizer.fingerprint(),
            "labels": list(classes),
            "documents": len(rows),
            "validation_documents": len(held_out),
            "texts": texts_fingerprint([*data.texts, *(data.labels or ())]),
            "settings": vars(settings),
            "stages": [stage.to_dict() for stage in stages],
            "keep_best": self.keep_best,
            "seed": self.seed,
        }
        context = RunContext(
            Devices(self.devices),
            RunFolder(folder / "classifier", config) if folder else None,
            LoopOptions(keep_best=self.keep_best),
            ConsoleProgress() if self.verbose else None,
        )
        encoder = start.parameters["encoder"] if start.parameters else None
        result = train_classifier(start.architecture, head, encoder, train, valid, stages, settings, self.seed, context)
        self.history_ = self.history_ + result.history
        self._predictor = None
        self._artifact = Artifact(
            "classifier",
            start.architecture,
            start.tokenizer,
            result.parameters,
            result.statistics,
            tuple(classes),
            head,
            start.backwards,
            {"bptt": self.bptt, "max_length": self.max_length},
            self._provenance(start, config, result.history),
        )

    def _split(self, data: TextDataset) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on and rows to measure on."""
        if not self.validation_fraction:
            return np.arange(len(data)), np.zeros(0, np.int64)
        return train_validation_split(data.texts, data.labels, fraction=self.validation_fraction, seed=self.seed)

    def _stages(self, documents: int, batch_size: int, n_groups: int) -> list[Stage]:
        epochs = self.epochs if self.epochs is not None else unfreezing_epochs(documents, batch_size)
        if self.recipe == "gradual_unfreezing":
            if isinstance(epochs, int) or len(epochs) != 4 or not sum(epochs):
                raise ConfigError(f"epochs is {epochs!r}: gradual unfreezing takes four numbers, such as (1, 1, 1, 2)")
            return gradual_unfreezing_stages(self.learning_rate or 2e-2, epochs, self.weight_decay, n_groups)
        if self.recipe == "fine_tune":
            whole = epochs if isinstance(epochs, int) else sum(epochs) - 1
            return fine_tune_stages(whole, self.learning_rate or 1e-2, weight_decay=self.weight_decay)
        raise ConfigError(f"recipe is {self.recipe!r}: choose 'gradual_unfreezing' or 'fine_tune'")

    def _provenance(self, start: Artifact, config: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, Any]:
        last = {name: value for name, value in history[-1].items() if name not in ("stage", "epoch")}
        return {
            "trained_from": str(self.pretrained) if self.pretrained is not None else "scratch",
            "recipe": self.recipe,
            "training": {name: config[name] for name in ("documents", "validation_documents", "seed")}
            | config["settings"],
            "stages": [f"{stage['name']}, {stage['epochs']} epochs" for stage in config["stages"]],
            "language_model": start.provenance,
            "last_epoch": last,
        }


def _texts(texts: Iterable[str]) -> list[str]:
    """A list of strings, or a sentence about what else was found."""
    if isinstance(texts, str):
        raise DataError("texts is one string: give a list of texts")
    found = list(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise DataError(f"text {index} is a {type(text).__name__} ({text!r:.40}), it has to be a string")
    return found
