"""`TextClassifier`: from texts and labels to a trained, saved and reloaded classifier, through all of ULMFiT."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.answers import Answers, Texts
from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.class_weights import ClassWeight
from ulmfit_jax.classifier_fit import FURTHER, fit_classifier
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.classifier_parts import trained_parts
from ulmfit_jax.classifier_plan import Further
from ulmfit_jax.data.corpus import Corpus, corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import given_probabilities, label_type, typed_labels
from ulmfit_jax.data.lists import label_list, label_values, labelled_texts, text_list
from ulmfit_jax.errors import ConfigError, DataError
from ulmfit_jax.estimator import Estimator, not_fitted
from ulmfit_jax.inference.encode import DocumentEncoder
from ulmfit_jax.inference.explain import Explainer, Explanation
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.products import check_precision
from ulmfit_jax.pretrained import SHIPPED, model_folder
from ulmfit_jax.training.compiled_programs import kept_programs
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import FURTHER_RATE, FURTHER_SPREAD


class TextClassifier(Answers, Estimator):
    """ULMFiT as one estimator: fine-tunes a language model on the texts, then a classifier on its encoder.

    It works with scikit-learn's `clone`, `Pipeline`, `cross_val_score` and `GridSearchCV`. Labels that are
    all whole numbers or all truth values in `fit` stay so in `classes_` and `predict`; others are strings. Labels that
    are lists, tuples or sets make a classifier of texts with any number of labels (`multi_label`).

    Attributes set by `fit` or `load`: `classes_` (sorted, the order of the probabilities),
    `history_` (rows of the table of epochs: language model, then classifier) and `seconds_` (time of each part).
    `predict_precision` may be set: `float32`, or `bfloat16`, with which a processor that has it answers and encodes
    faster; probabilities then differ by some thousandths.
    """

    predict_precision = "float32"
    _artifact: Artifact | None = None
    _compiled: dict[str, Any]
    history_: list[dict[str, Any]]
    seconds_: dict[str, float]

    def __init__(
        self,
        pretrained: str | Path | LanguageModel | None = SHIPPED,
        preset: str | None = None,
        *,
        recipe: str = "gradual_unfreezing",
        lm_epochs: int | None = None,
        lm_learning_rate: float | None = None,
        lm_drop_mult: float | None = None,
        lm_batch_size: int | None = None,
        epochs: int | Sequence[int] | None = None,
        learning_rate: float | None = None,
        lr_mult: float | None = None,
        drop_mult: float = 0.5,
        pool_layers: str = "all",
        hidden: Sequence[int] = (50,),
        batch_size: int | None = None,
        label_smoothing: float = 0.0,
        adversarial: float = 0.0,
        class_weight: ClassWeight = None,
        weight_decay: float = 0.01,
        validation_fraction: float = 0.1,
        self_training: int | Sequence[int] = 0,
        cache_frozen: bool = False,
        keep_best: bool = False,
        patience: int | None = None,
        skip_nonfinite: int = 0,
        max_length: int = MAX_LENGTH,
        bptt: int = 72,
        precision: str | None = None,
        seed: int = 0,
        devices: int | None = None,
        verbose: bool = False,
    ):
        """Choose a recipe; nothing is read or computed before `fit`.

        Args:
            pretrained: a shipped language model's name, a folder (language model or encoder), or a `LanguageModel`; it
                fixes architecture and tokeniser. None starts from scratch with a `preset`. One that has read these
                texts already reads them again unless `lm_epochs` is 0.
            preset: `ulmfit`, `small` or `tiny`; only with `pretrained=None`, `small` if nothing is said.
            recipe: `gradual_unfreezing` (the notebook's four stages); `fine_tune` (fastai's two: head, then
                everything): half the time and, with hundreds of labels, mostly a lower error (experiments/README.md);
                or `linear_probe`: the encoder stays as it is and reads each text once, and a head without hidden layers
                is fitted to its vectors (`ulmfit_jax.linear_head`): seconds, and often the best where labels are few
                and the language model knows such texts (experiments/README.md). It has no epochs, rates,
                dropout or weight decay; the L2 penalty is chosen by cross-validation.
            lm_epochs: passes of language-model fine-tuning over texts and unlabelled texts; 0 skips it, None chooses by
                the amount of text.
            lm_learning_rate: peak rate of that; see `LanguageModel`.
            lm_drop_mult: scales its dropouts; see `LanguageModel`.
            lm_batch_size: rows of its token stream; see `LanguageModel`.
            epochs: of the classifier: four numbers for the stages of gradual unfreezing, (1, 1, 1, 2) in the notebook;
                two for those of `fine_tune`; or one number for the last stage of either, after one epoch of each
                before. None chooses by the number of documents: as many as in the notebook for thousands, (1, 2) for
                `fine_tune`, and more for fewer.
            learning_rate: peak rate of the first stage; 2e-2 (notebook), 1.6e-2 for `fine_tune`, whose second has half
                of it (fastai: 2e-3).
            lr_mult: in stages that train several layers, how many times the embedding's rate the head's is: 45.7 (the
                paper's 2.6 for each layer), 2 for `fine_tune` (fastai: 100). The less it is, the further the lower
                layers move, for which there must be labels (experiments/README.md).
            drop_mult: scales the classifier's dropouts; 0.5 in fastai.
            pool_layers: what the head reads: `last`, the concat pooling of the last layer, as in the paper and fastai;
                `all`, beside it the means of the embedded tokens and of the lower layers' outputs, the default because
                it made fewer errors wherever it was measured (experiments/README.md).
            hidden: sizes of the head's hidden layers; 50 in the paper and fastai (`lin_ftrs`), () for none.
            batch_size: documents of a batch; 64 in fastai, fewer for few documents.
            label_smoothing: weight of the uniform distribution in the target; 0, or 0.1 as in MultiFiT.
            adversarial: in stages that train all layers, learn from each document a second time, with its embedded
                tokens pushed to where the loss rises most (`ulmfit_jax.training.adversarial`), all together by so many
                norms of a token; 0.3 in the paper (5, where a token has 16). Such steps take twice the time; with some
                hundred labels it made fewer errors, with thousands not (experiments/README.md). 0: none.
            class_weight: how much each class counts in the training loss, as in scikit-learn: `balanced` (documents /
                (classes * documents of the class), by the labels given to `fit`), a weight above 0 for each label (1
                for those left out), or None, all alike. Measures weigh nothing.
            weight_decay: 0.01 in fastai, 0.1 in its older notebooks.
            validation_fraction: share of the labelled texts that measures each epoch and is not trained on; 0 trains on
                everything and measures nothing. `fit` takes texts of your own for that, too.
            self_training: how many of the unlabelled texts the trained classifier labels together with n-grams, to go
                on learning from all of them (`ulmfit_jax.self_training`); several numbers are several rounds, each with
                other texts and labels of the classifier of the round before. 0: none.
            cache_frozen: in stages that train the head alone, compute the documents' vectors once, with the encoder's
                dropout off, and train on these: epochs after the first take seconds. The error stayed the same where
                it was measured (experiments/README.md).
            keep_best: end with the parameters of the epoch with the lowest validation loss instead of the last.
            patience: end a stage after so many epochs without a lower validation loss; None never does.
            skip_nonfinite: how many steps of a stage of the method (language model, classifier) may be left out because
                a loss or gradient is not finite; the next one ends the training with an error.
            max_length: tokens at a document's end that are pooled and trained on; 1,440 in fastai.
            bptt: tokens of a chunk; 72 in fastai.
            precision: what the operands of matrix products are rounded to in training; see `LanguageModel`.
            seed: of everything that is drawn.
            devices: how many devices to use; all by default.
            verbose: print tables of epochs and, on a terminal, a progress bar to standard error.
        """
        self.pretrained, self.preset, self.recipe = pretrained, preset, recipe
        self.lm_epochs, self.lm_learning_rate = lm_epochs, lm_learning_rate
        self.lm_drop_mult, self.lm_batch_size = lm_drop_mult, lm_batch_size
        self.epochs, self.learning_rate, self.lr_mult = epochs, learning_rate, lr_mult
        self.drop_mult, self.batch_size = drop_mult, batch_size
        self.pool_layers, self.hidden = pool_layers, hidden
        self.label_smoothing, self.adversarial = label_smoothing, adversarial
        self.class_weight, self.weight_decay = class_weight, weight_decay
        self.validation_fraction, self.self_training = validation_fraction, self_training
        self.cache_frozen = cache_frozen
        self.keep_best, self.patience, self.skip_nonfinite = keep_best, patience, skip_nonfinite
        self.max_length, self.bptt, self.precision = max_length, bptt, precision
        self.seed, self.devices, self.verbose = seed, devices, verbose

    @property
    def options(self) -> ClassifierOptions:
        """The arguments of the constructor, checked.

        Raises:
            ConfigError: they do not go together.
        """
        return ClassifierOptions(**{field.name: getattr(self, field.name) for field in fields(ClassifierOptions)})

    def fit(
        self,
        texts: Texts,
        labels: Sequence[Any],
        unlabeled: Iterable[str] | None = None,
        *,
        valid_texts: Texts | None = None,
        valid_labels: Sequence[Any] | None = None,
        run_dir: str | Path | None = None,
        workers: int = 1,
    ) -> TextClassifier:
        """Train on labelled texts, with unlabelled ones for the language model.

        Args:
            texts: documents.
            labels: one for each; strings or numbers (by name a whole number is its decimal string, 1.0 too, as in
                files). Where a text may have several labels, or none, a list, tuple or set of them for each.
            unlabeled: more documents of the same kind, for the language model and for self-training.
            valid_texts: documents that measure each epoch, instead of `validation_fraction` of the others; nothing is
                trained on them, and the language model does not read them, even if they are in `unlabeled`.
            valid_labels: their labels.
            run_dir: folder of tokens, programs and training states; the same call goes on with an interrupted run.
            workers: processes that tokenise.

        Raises:
            DataError: no texts, not one label for each, a missing label, a single class; or such texts to measure on,
                or a label there that none of the others has.
            ConfigError, ArtifactError, TrainingError: see their sentences.
        """
        options, values = self.options, label_values(labels)
        data, kind = labelled_texts(texts, values, "the training data"), label_type(values)
        more = text_list([] if unlabeled is None else unlabeled, "unlabeled")
        if valid_texts is not None or valid_labels is not None:
            valid = _validation(valid_texts, valid_labels)
            data, measuring = data.with_valid(valid), set(valid.texts)
            more = [text for text in more if text not in measuring]
        folder = Path(run_dir) if run_dir is not None else None
        history: list[dict[str, Any]] = []
        seconds: dict[str, float] = {}
        with kept_programs(folder):
            for part in trained_parts(options, data, more, folder, workers):
                self._keep(_with_label_type(part.artifact, kind))
                self.history_ = history = [*history, *part.history]
                self.seconds_ = seconds = {**seconds, **part.seconds}
        return self

    def learn_from(
        self,
        texts: Texts,
        labels: Sequence[Any],
        *,
        epochs: int | None = None,
        learning_rate: float = FURTHER_RATE,
        lr_mult: float = FURTHER_SPREAD,
        run_dir: str | Path | None = None,
        workers: int = 1,
    ) -> TextClassifier:
        """Learn on from more labelled texts, all layers, starting from what the classifier is.

        With the probabilities that a better model gives, such as an ensemble with this classifier in it, this is
        distillation (Hinton et al. 2015; docs/how-to/two-directions.md). What new texts do not show is forgotten in
        part: give some of those from before too. A calibration from before is gone. As in `fit`, `validation_fraction`
        of the texts measures each epoch, and the other options of the classifier's training count too, but for those
        that are arguments here.

        Args:
            texts: documents.
            labels: one for each, or several, as in `fit`, of the classes that the classifier knows; or, of one label a
                text, an array of probabilities `[documents, classes]` in the order of `classes_`.
            epochs: None chooses by the number of documents: one for thousands, more for fewer.
            learning_rate: peak rate of the head.
            lr_mult: that over the embedding's.
            run_dir: folder of tokens, programs and training states; the same call goes on with an interrupted run.
            workers: processes that tokenise.

        Raises:
            ArtifactError: the classifier is not trained yet.
            DataError: no texts, not one label for each, a label that the classifier does not know, or numbers that are
                no probabilities.
            ConfigError, TrainingError: see their sentences.
        """
        start, options = self.artifact, self.options
        targets = None if self.multi_label else given_probabilities(labels, self.class_names)
        if targets is not None:
            labels = self.classes_[targets.argmax(axis=1)]
            if options.class_weight is not None:
                raise ConfigError("class_weight is for labels, but here are probabilities: leave it out")
        further = Further(learning_rate, lr_mult, epochs, targets)
        data, _ = self._labelled(texts, labels, "new", "learn")
        if options.is_probe:  # a fitted head is trained from here on
            options = replace(options, recipe="fine_tune")
        folder, started = Path(run_dir) if run_dir is not None else None, time.monotonic()
        with kept_programs(folder):
            artifact, history = fit_classifier(start, data, self.class_names, options, folder, workers, further=further)
        self._keep(_with_label_type(artifact, start.settings.get("label_type")))
        self.history_ = [*self.history_, *history]
        self.seconds_ = {**self.seconds_, FURTHER: time.monotonic() - started}
        return self

    def _keep(self, artifact: Artifact) -> None:
        """From now on this classifier answers."""
        self._artifact, self._compiled = artifact, {}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and worker processes: without the programs that are compiled for this process's devices."""
        return vars(self) | ({"_compiled": {}} if self._artifact else {})

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a trained classifier to predict with."""
        return self._artifact is not None

    @property
    def artifact(self) -> Artifact:
        """The trained classifier as plain data.

        Raises:
            ArtifactError: there is none yet (scikit-learn's `NotFittedError` too).
        """
        if self._artifact is None:
            raise not_fitted("this classifier is not trained yet: call fit, or TextClassifier.load")
        return self._artifact

    @property
    def classes_(self) -> np.ndarray:
        """The classes in the order of the probabilities, of the type that the labels had in `fit`."""
        return typed_labels(self.artifact.labels, self.artifact.settings.get("label_type"))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities."""
        return self.artifact.labels

    @property
    def temperature(self) -> float:
        """What scores are divided by before they become probabilities; 1 unless the model was calibrated."""
        return self.artifact.temperature

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several of the classes, or none, as in the labels given to `fit`."""
        return self.artifact.multi_label

    def log_probabilities(self, texts: Texts) -> np.ndarray:
        """Log probabilities `[documents, classes]` float32 before calibration, rows in the order of the texts."""
        return self._log_probabilities_of(corpus_in_memory(text_list(texts), self.artifact.tokenizer))

    def probabilities_of(self, documents: Corpus) -> np.ndarray:
        """Probabilities `[documents, classes]` float32 of documents that are tokens already."""
        return self._probabilities(self._log_probabilities_of(documents))

    def _log_probabilities_of(self, documents: Corpus) -> np.ndarray:
        artifact = self.artifact
        name = f"predictor {self.predict_precision}"
        if name not in self._compiled:
            check_precision(self.predict_precision)
            self._compiled[name] = Predictor(artifact, Devices(self.devices), self.predict_precision)
        predictor: Predictor = self._compiled[name]
        return predictor.log_probabilities(documents)

    def _calibrated(self, figures: dict[str, float] | None) -> None:
        settings = {name: value for name, value in self.artifact.settings.items() if name != "temperature"}
        provenance = {name: value for name, value in self.artifact.provenance.items() if name != "calibration"}
        if figures is not None:
            settings["temperature"], provenance["calibration"] = figures["temperature"], figures
        self._artifact = replace(self.artifact, settings=settings, provenance=provenance)
        self._compiled.pop("explainer", None)  # it tells probabilities too

    @property
    def explanation_methods(self) -> tuple[str, ...]:
        """What `explain` takes as its `method`, the default first."""
        return Explainer.methods

    def explain(self, text: str, label: Any = None, method: str = "gradient") -> Explanation:
        """Which words of `text` speak for the class `label`, by default the most probable one.

        Args:
            text: a document.
            label: a class.
            method: `gradient` (two passes, whatever the length) or `leave_out` (a pass for each word); see
                `ulmfit_jax.inference.explain`.

        Raises:
            ConfigError: there is no such method or class.
        """
        artifact = self.artifact
        if "explainer" not in self._compiled:
            self._compiled["explainer"] = Explainer(artifact)
        explainer: Explainer = self._compiled["explainer"]
        return explainer.explain(text, None if label is None else label_list([label])[0], method)

    def encode(self, texts: Texts | str) -> np.ndarray:
        """Vectors of documents for search and clustering, `[documents, 3 * embedding]` float32; more with
        `pool_layers="all"`.

        They are what the head gets: the encoder's last output, maximum and mean over a document's tokens. For
        nearness, bring the columns to one scale first (docs/how-to/few-labels.md), then compare by cosine similarity.
        """
        artifact, name = self.artifact, f"encoder {self.predict_precision}"
        if name not in self._compiled:
            check_precision(self.predict_precision)
            self._compiled[name] = DocumentEncoder(artifact, Devices(self.devices), self.predict_precision)
        encoder: DocumentEncoder = self._compiled[name]
        return encoder.encode(texts)

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

    @classmethod
    def load(cls, folder: str | Path, *, devices: int | None = None, precision: str | None = None) -> TextClassifier:
        """The classifier of a model folder, of a finished run's folder, or a shipped one by name.

        Args:
            folder: its place.
            devices: how many to answer on; all by default.
            precision: its `predict_precision`; float32 by default.

        Raises:
            ArtifactError: missing, damaged or another kind of model.
            ConfigError: there is no such precision.
        """
        check_precision(precision)
        artifact = load_artifact(model_folder(folder), "classifier")
        read = {name: artifact.settings[name] for name in ("bptt", "max_length") if name in artifact.settings}
        model = cls(devices=devices, **read)  # `learn_from` reads documents as they were read
        model.predict_precision = precision or model.predict_precision
        model._keep(artifact)
        model.history_, model.seconds_ = [], {}
        return model


def _validation(texts: Texts | None, labels: Sequence[Any] | None) -> TextDataset:
    """The texts that measure, and their labels.

    Raises:
        DataError: one of both is missing, or they do not fit.
    """
    if texts is None or labels is None:
        missing, given = ("valid_texts", "valid_labels")[:: 1 if texts is None else -1]
        raise DataError(f"{given} is there, but {missing} is not: give both, or neither")
    return labelled_texts(texts, labels, "the validation data")


def _with_label_type(artifact: Artifact, kind: str | None) -> Artifact:
    """A classifier that gives labels of this type, or, for None, strings."""
    return artifact if kind is None else replace(artifact, settings={**artifact.settings, "label_type": kind})
