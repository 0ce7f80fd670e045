"""`Ensemble`: several classifiers that answer together, such as a forward and a backward one (paper, section 5.2)."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ulmfit_jax.answers import Answers, Texts
from ulmfit_jax.artifact.folder import ENSEMBLE
from ulmfit_jax.artifact.json_file import read_object
from ulmfit_jax.artifact.manifest import check_manifest, write_manifest
from ulmfit_jax.artifact.place import written_whole
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.inference.temperature import checked_temperature
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text_classifier import TextClassifier

FORMAT_VERSION = 1
_SMALLEST = float(np.finfo(np.float32).tiny)
_MEMBER = re.compile(r"member-[0-9]{1,6}")


class Ensemble(Answers):
    """Classifiers over the same classes; the probabilities are the mean of theirs.

    The paper averages a forward and a backward model. Members may differ in everything but their classes: direction,
    language model, tokeniser, seed.
    """

    def __init__(self, members: Sequence[TextClassifier], temperature: float = 1.0):
        """Join trained classifiers, with the temperature that `calibrate` found for their mean.

        Raises:
            ConfigError: there are none, or their classes are not the same.
            ArtifactError: one is not trained.
        """
        if not members:
            raise ConfigError("an ensemble needs at least one classifier")
        self.members, self._temperature = tuple(members), temperature
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

    def log_probabilities(self, texts: Texts) -> np.ndarray:
        """Logarithm of the mean of the members' probabilities, `[documents, classes]` float64, before calibration."""
        each = np.stack([member.predict_proba(texts) for member in self.members])
        return np.log(np.maximum(each.astype(np.float64).mean(axis=0), _SMALLEST))

    @property
    def temperature(self) -> float:
        """What the logarithm of the mean is divided by; 1 unless the ensemble was calibrated.

        The mean is calibrated, not the members: the mean of calibrated members is less sure than it is right, as they
        disagree where they are wrong (Rahaman & Thiery 2021). Members that were calibrated before stay so.
        """
        return self._temperature

    def _calibrated(self, figures: dict[str, float] | None) -> None:
        self._temperature = 1.0 if figures is None else figures["temperature"]

    def save(self, folder: str | Path, *, half_precision: bool = False) -> None:
        """Write one folder with a model folder for each member; `half_precision` stores 16-bit floats.

        Raises:
            ArtifactError: the place holds something that is not a model, or cannot be written.
        """
        names = [f"member-{number}" for number in range(len(self.members))]
        config = {
            "format_version": FORMAT_VERSION,
            "kind": ENSEMBLE,
            "labels": list(self.class_names),
            "members": names,
            "temperature": self.temperature,
        }
        with written_whole(Path(folder)) as place:
            for name, member in zip(names, self.members, strict=True):
                member.save(place / name, half_precision=half_precision)
            (place / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
            (place / "README.md").write_text(self._card(Path(folder).name), "utf-8")
            write_manifest(place)

    def _card(self, name: str) -> str:
        directions = [f"reads {'backwards' if m.artifact.backwards else 'forwards'}" for m in self.members]
        listed = [f"- [member-{n}](member-{n}/README.md) {direction}" for n, direction in enumerate(directions)]
        code = ["```python", "from ulmfit_jax import Ensemble", "", f'model = Ensemble.load("{name}")', "```"]
        what = f"An ensemble of {len(self.members)} classifiers of ulmfit-jax: the mean of their probabilities."
        labels = f"Labels: {', '.join(self.class_names)}."
        if self.temperature != 1:
            what += f" It is calibrated: the logarithm of the mean is divided by {self.temperature:.4g}."
        return "\n".join([f"# {name}", "", what, "", labels, "", *listed, "", *code, ""])

    @classmethod
    def load(cls, folder: str | Path, *, devices: int | None = None) -> Ensemble:
        """The ensemble of a folder.

        Raises:
            ArtifactError: missing, damaged or something else.
        """
        place = model_folder(folder)
        found = _members(place)
        if found is None:
            raise ArtifactError(f"{place} holds no ensemble: TextClassifier.load reads a single classifier")
        names, temperature = found
        check_manifest(place, ("config.json", *(f"{name}/" for name in names)))
        return cls([TextClassifier.load(place / name, devices=devices) for name in names], temperature)


def load_classifier(folder: str | Path, *, devices: int | None = None) -> TextClassifier | Ensemble:
    """The classifier or the ensemble of a folder, whichever it holds.

    Raises:
        ArtifactError: missing, damaged or another kind of model.
    """
    if _members(model_folder(folder)) is None:
        return TextClassifier.load(folder, devices=devices)
    return Ensemble.load(folder, devices=devices)


def _members(place: Path) -> tuple[list[str], float] | None:
    """Names of an ensemble's members and its temperature; None where the folder holds a single model, or nothing."""
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
        return names, checked_temperature(config.get("temperature", 1.0))
    except ValueError as error:
        raise ArtifactError(f"{place / 'config.json'} has {error}: copy the model folder again") from error
