"""`Ensemble`: several classifiers that answer together, such as a forward and a backward one (paper, section 5.2), and
with them, if they shall, a linear model over n-grams."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.answers import Answers, Texts
from ulmfit_jax.artifact.folder import ENSEMBLE
from ulmfit_jax.artifact.json_file import read_object
from ulmfit_jax.artifact.manifest import check_manifest, write_manifest
from ulmfit_jax.artifact.place import written_whole
from ulmfit_jax.counted import counted
from ulmfit_jax.data.corpus import Corpus, corpus_in_memory
from ulmfit_jax.data.lists import label_list, text_list
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.inference.explain import Explanation, LeaveOutExplainer
from ulmfit_jax.inference.temperature import checked_temperature
from ulmfit_jax.ngram_voice import FOLDER as NGRAMS
from ulmfit_jax.ngram_voice import SAMPLE, NgramVoice, learnt_voice, load_voice
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text_classifier import TextClassifier
from ulmfit_jax.training.processes import is_first

FORMAT_VERSION = 1
_SMALLEST = float(np.finfo(np.float32).tiny)
_NEAREST = float(np.log1p(-np.finfo(np.float32).epsneg))
"""Logarithm of the probability nearest to 1 that a mean of 32-bit floats can be told from it."""
_MEMBER = re.compile(r"member-[0-9]{1,6}")


class Ensemble(Answers):
    """Classifiers over the same classes; the probabilities are the mean of theirs.

    The paper averages a forward and a backward model. Members may differ in everything but their classes: direction,
    language model, tokeniser, seed. `learn_ngrams` lets a linear model answer with them, whose probabilities weigh as
    much as those of all members together.
    """

    def __init__(self, members: Sequence[TextClassifier], temperature: float = 1.0, ngrams: NgramVoice | None = None):
        """Join trained classifiers.

        Args:
            members: at least one.
            temperature: what `calibrate` found for their mean.
            ngrams: what `learn_ngrams` made, of the first member's tokens.

        Raises:
            ConfigError: there are none, or their classes are not the same.
            ArtifactError: one is not trained.
        """
        if not members:
            raise ConfigError("an ensemble needs at least one classifier")
        self.members, self._temperature, self.ngrams = tuple(members), temperature, ngrams
        for number, member in enumerate(self.members[1:], 2):
            if member.class_names != self.class_names:
                raise ConfigError(
                    f"classifier {number} has the classes {', '.join(member.class_names)}, "
                    f"but the first one {', '.join(self.class_names)}: an ensemble needs the same ones"
                )
            if member.multi_label != self.multi_label:
                raise ConfigError(
                    f"classifier {number} gives {'several labels a text' if member.multi_label else 'one label'} and "
                    "the first one does not: an ensemble needs classifiers of one kind"
                )

    def __repr__(self) -> str:
        ngrams = f", {len(self.ngrams.model.ngrams):,} n-grams" if self.ngrams else ""
        return f"Ensemble({counted(len(self.members), 'classifier')} of {', '.join(self.class_names)}{ngrams})"

    @property
    def classes_(self) -> np.ndarray:
        """The classes in the order of the probabilities, as the first member gives them."""
        return self.members[0].classes_

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the probabilities."""
        return self.members[0].class_names

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several of the classes, or none."""
        return self.members[0].multi_label

    def learn_ngrams(
        self,
        texts: Texts,
        labels: Sequence[Any],
        held_out_texts: Texts = (),
        held_out_labels: Sequence[Any] = (),
        unlabeled: Texts = (),
    ) -> Ensemble:
        """Let a linear model over n-grams answer too (`ulmfit_jax.ngram_voice`).

        It takes seconds, and with `unlabeled` the time in which the members read these texts. A calibration from before
        is taken back.

        Args:
            texts: documents, as a rule those that the members were trained on.
            labels: one for each, or several, as in `TextClassifier.fit`.
            held_out_texts: documents that neither were trained on, which tell how far the members can be believed; with
                none they become about as sure as the n-grams are.
            held_out_labels: their labels.
            unlabeled: more documents, which the members and the n-grams label together for the n-grams to learn from
                (`ulmfit_jax.co_training`). Where labels are few, that is worth most. Those that are among the labelled
                ones, too, are left out.

        Raises:
            ConfigError: there are unlabelled texts, but a text may have several labels.
            DataError: no texts, a label that the members do not know, or texts that have no n-gram in common.
        """
        data, targets = self._labelled(texts, labels, "n-grams' data", "learn n-grams")
        if len(held_out_texts):
            others, known = self._labelled(held_out_texts, held_out_labels, "held-out data", "check the members")
        else:
            known = np.random.default_rng(0).permutation(len(data))[:SAMPLE]
            others = data.select(known)
        tokenizer = self.members[0].artifact.tokenizer
        unlabelled = None
        learnt = {*data.texts, *others.texts}
        if more := [text for text in text_list(unlabeled, "unlabeled") if text not in learnt]:
            if self.multi_label:
                raise ConfigError("co-training gives a text one label, but here a text may have several")
            unlabelled = list(corpus_in_memory(more, tokenizer)), self._of_members(more)
        self.ngrams = learnt_voice(
            list(corpus_in_memory(data.texts, tokenizer)),
            targets,
            len(self.class_names),
            (self._of_members(others.texts), known),
            held_out=len(held_out_texts) > 0,
            unlabelled=unlabelled,
        )
        self.uncalibrate()
        return self

    def log_probabilities(self, texts: Texts) -> np.ndarray:
        """Logarithm of the mean of the members' probabilities, and of those of the n-grams, `[documents, classes]`
        float64, before calibration."""
        return self.with_ngrams(self._of_members(texts), texts)

    def with_ngrams(self, of_members: np.ndarray, texts: Texts) -> np.ndarray:
        """The same from the members' answers, where these are there already.

        Args:
            of_members: logarithm of the mean of the members' probabilities, `[documents, classes]`.
            texts: the documents.
        """
        if self.ngrams is None:
            return of_members
        documents = corpus_in_memory(text_list(texts), self.members[0].artifact.tokenizer)
        return self.ngrams.log_probabilities(of_members, list(documents))

    def _of_members(self, texts: Texts) -> np.ndarray:
        return _log_mean([member.predict_proba(texts) for member in self.members])

    @property
    def explanation_methods(self) -> tuple[str, ...]:
        """What `explain` takes as its `method`; none where the members read different tokens."""
        return LeaveOutExplainer.methods if self._read_alike() else ()

    def explain(self, text: str, label: Any = None, method: str = "leave_out") -> Explanation:
        """Which words of `text` speak for the class `label`, by default the most probable one: what all members, and
        the n-grams, say together without each word. A pass of each member for each word.

        Args:
            text: a document.
            label: a class.
            method: there is `leave_out` alone: an ensemble has no common embeddings to have a slope in.

        Raises:
            ConfigError: there is no such method or class, or the members do not all have the same tokeniser.
        """
        if not self._read_alike():
            raise ConfigError("the members of this ensemble read different tokens: explain one of them")
        explainer = LeaveOutExplainer(
            self.class_names,
            self.members[0].artifact.tokenizer,
            lambda documents: np.minimum(self._log_probabilities_of(documents), _NEAREST),
            self.temperature,
            self.multi_label,
        )
        return explainer.explain(text, None if label is None else label_list([label])[0], method)

    def _read_alike(self) -> bool:
        return len({member.artifact.tokenizer.fingerprint() for member in self.members}) == 1

    def _log_probabilities_of(self, documents: Corpus) -> np.ndarray:
        """Those of documents that are tokens, which are the same for all members."""
        of_members = _log_mean([member.probabilities_of(documents) for member in self.members])
        return of_members if self.ngrams is None else self.ngrams.log_probabilities(of_members, list(documents))

    @property
    def temperature(self) -> float:
        """What the logarithm of the mean is divided by; 1 unless the ensemble was calibrated.

        The mean is calibrated, not the members: the mean of calibrated members is less sure than it is right, as they
        disagree where they are wrong (Rahaman & Thiery 2021). Members that were calibrated before stay so.
        """
        return self._temperature

    def _calibrated(self, figures: dict[str, float] | None) -> None:
        self._temperature = 1.0 if figures is None else figures["temperature"]

    def save(
        self,
        folder: str | Path,
        *,
        half_precision: bool = False,
        mantissa_bits: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one folder with a model folder for each member.

        In a run of several processes the first one writes.

        Args:
            folder: its place; a model folder there is replaced, but nothing that holds another file.
            half_precision: store 16-bit floats.
            mantissa_bits: round the networks' matrices to so many bits of mantissa; see `TextClassifier.save`.
            provenance: more of where the members come from, for their cards. None: nothing.

        Raises:
            ArtifactError: the place holds something that is not a model, or cannot be written.
            ConfigError: there is no such number of bits.
        """
        if not is_first():
            return
        names = [f"member-{number}" for number in range(len(self.members))]
        config = {
            "format_version": FORMAT_VERSION,
            "kind": ENSEMBLE,
            "labels": list(self.class_names),
            "members": names,
            "temperature": self.temperature,
            **({"ngrams": self.ngrams.facts()} if self.ngrams else {}),
        }
        with written_whole(Path(folder)) as place:
            for name, member in zip(names, self.members, strict=True):
                member.save(
                    place / name,
                    half_precision=half_precision,
                    mantissa_bits=mantissa_bits,
                    provenance=provenance,
                )
            if self.ngrams:
                self.ngrams.save(place / NGRAMS, np.float16 if half_precision else np.float32)
            (place / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
            (place / "README.md").write_text(self._card(Path(folder).name), "utf-8")
            write_manifest(place)

    def _card(self, name: str) -> str:
        directions = [f"reads {'backwards' if m.artifact.backwards else 'forwards'}" for m in self.members]
        listed = [f"- [member-{n}](member-{n}/README.md) {direction}" for n, direction in enumerate(directions)]
        code = ["```python", "from ulmfit_jax import Ensemble", "", f'model = Ensemble.load("{name}")', "```"]
        what = (
            f"An ensemble of {counted(len(self.members), 'classifier')} of ulmfit-jax: the mean of the probabilities."
        )
        if self.ngrams:
            times = (1 - self.ngrams.networks_share) / self.ngrams.networks_share
            weighs = "as much" if times == 1 else f"{times:.3g} times as much"
            what += f" A linear model over {len(self.ngrams.model.ngrams):,} n-grams weighs {weighs} as all of them."
        labels = f"Labels: {', '.join(self.class_names)}."
        if self.temperature != 1:
            what += f" It is calibrated: the logarithm of the mean is divided by {self.temperature:.4g}."
        return "\n".join([f"# {name}", "", what, "", labels, "", *listed, "", *code, ""])

    @classmethod
    def load(cls, folder: str | Path, *, devices: int | None = None, precision: str | None = None) -> Ensemble:
        """The ensemble of a folder; arguments as for `TextClassifier.load`.

        Raises:
            ArtifactError: missing, damaged or something else.
            ConfigError: there is no such precision.
        """
        place = model_folder(folder)
        found = _members(place)
        if found is None:
            raise ArtifactError(f"{place} holds no ensemble: TextClassifier.load reads a single classifier")
        names, temperature, ngrams = found
        has_ngrams = ngrams is not None
        check_manifest(place, ("config.json", *(f"{name}/" for name in [*names, *[NGRAMS] * has_ngrams])))
        members = [TextClassifier.load(place / name, devices=devices, precision=precision) for name in names]
        model = cls(members, temperature)
        if has_ngrams:
            vocabulary = model.members[0].artifact.tokenizer.vocabulary
            model.ngrams = load_voice(
                place / NGRAMS, ngrams, len(model.class_names), model.multi_label, len(vocabulary)
            )
        return model


def _log_mean(each: Sequence[np.ndarray]) -> np.ndarray:
    """Logarithm of the mean of probabilities `[documents, classes]`, float64."""
    return np.log(np.maximum(np.stack(each).astype(np.float64).mean(axis=0), _SMALLEST))


def load_classifier(
    folder: str | Path, *, devices: int | None = None, precision: str | None = None
) -> TextClassifier | Ensemble:
    """The classifier or the ensemble of a folder, whichever it holds; arguments as for `TextClassifier.load`.

    Raises:
        ArtifactError: missing, damaged or another kind of model.
        ConfigError: there is no such precision.
    """
    kind = TextClassifier if _members(model_folder(folder)) is None else Ensemble
    return kind.load(folder, devices=devices, precision=precision)


def _members(place: Path) -> tuple[list[str], float, Any] | None:
    """Names of an ensemble's members, its temperature and what is said of its n-grams, which may be None; None where
    the folder holds a single model, or nothing."""
    try:
        config = read_object(place / "config.json")
    except ArtifactError:
        return None
    if config.get("kind") != ENSEMBLE:
        return None
    names = config.get("members")
    if config.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{place} has the format version {reprlib.repr(config.get('format_version'))}, this version of ulmfit-jax "
            f"reads {FORMAT_VERSION}: install the version of ulmfit-jax that wrote it"
        )
    if not isinstance(names, list) or not names or not all(_MEMBER.fullmatch(str(name)) for name in names):
        raise ArtifactError(f"{place / 'config.json'} names no members: copy the model folder again")
    try:
        return names, checked_temperature(config.get("temperature", 1.0)), config.get("ngrams")
    except ValueError as error:
        raise ArtifactError(f"{place / 'config.json'} has {error}: copy the model folder again") from error
