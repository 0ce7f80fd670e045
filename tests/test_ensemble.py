"""`Ensemble`: the mean of its members, one folder, one command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from artifact.small_models import model
from ulmfit_jax import ArtifactError, ConfigError, Ensemble, TextClassifier
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.ensemble import load_classifier
from ulmfit_jax.text import SPECIALS
from ulmfit_jax.text.vocabulary import Vocabulary
from ulmfit_jax.text.words import WordTokenizer

TEXTS = ["a good film", "a bad day and a bad night", "", "good"]
LABELS = ["good", "bad", "bad", "good"]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of two classifiers with other weights and directions, so that they differ in their answers."""
    folder, first = tmp_path_factory.mktemp("members"), model("classifier")
    drawn = np.random.default_rng(1)
    second = replace(
        first,
        backwards=False,
        parameters=jax.tree.map(lambda leaf: leaf + drawn.normal(size=leaf.shape).astype(np.float32), first.parameters),
    )
    for name, artifact in (("first", first), ("second", second)):
        save_artifact(artifact, folder / name)
    return [folder / "first", folder / "second"]


@pytest.fixture(scope="module")
def ensemble(members: list[Path]) -> Ensemble:
    return Ensemble([TextClassifier.load(folder, devices=1) for folder in members])


def test_the_probabilities_are_the_mean(ensemble: Ensemble) -> None:
    first, second = (member.predict_proba(TEXTS) for member in ensemble.members)
    assert np.abs(first - second).max() > 0.05
    np.testing.assert_allclose(ensemble.predict_proba(TEXTS), (first + second) / 2, atol=1e-7)
    assert ensemble.predict(TEXTS).tolist() == [
        ("bad", "good")[row.argmax()] for row in (first.astype(float) + second.astype(float))
    ]
    assert ensemble.predict(TEXTS[0]) == ensemble.predict(TEXTS)[0]
    figures = ensemble.evaluate(TEXTS, LABELS)
    assert figures["accuracy"] == np.mean(ensemble.predict(TEXTS) == LABELS)
    assert figures["n"] == 4
    assert repr(ensemble) == "Ensemble(2 classifiers of bad, good)"


@pytest.mark.parametrize("has_ngrams", [False, True])
def test_an_ensemble_is_explained_by_what_it_says_without_each_word(members: list[Path], has_ngrams: bool) -> None:
    together = Ensemble([TextClassifier.load(folder, devices=1) for folder in members])
    if has_ngrams:
        together.learn_ngrams(["a good night", "a bad day", "good film", "bad film"], ["good", "bad", "good", "bad"])
    together.calibrate(TEXTS, LABELS)
    text = "a good film and a bad night"
    explained = together.explain(text, "good")
    assert explained.words == tuple(text.split())
    assert (explained.label, explained.method) == ("good", "leave_out")
    assert explained.probability == pytest.approx(together.predict_proba(text)[0, 1], abs=1e-6)

    def lead(of: str) -> float:
        bad, good = together.log_probabilities([of])[0]
        return float(good - bad)

    for number, importance in enumerate(explained.importances):
        without = " ".join(word for place, word in enumerate(text.split()) if place != number)
        assert importance == pytest.approx(lead(text) - lead(without), abs=1e-5)
    assert together.explain(text).label == together.predict(text)
    assert together.explain("").words == ()


def test_what_cannot_be_explained_of_an_ensemble(ensemble: Ensemble, tmp_path: Path) -> None:
    assert ensemble.explanation_methods == ("leave_out",)
    with pytest.raises(ConfigError, match="method is 'gradient': this model is explained by leave_out"):
        ensemble.explain("good", method="gradient")
    with pytest.raises(ConfigError, match="no label 'ugly'"):
        ensemble.explain("good", "ugly")
    first = ensemble.members[0].artifact
    tokens, words = first.tokenizer.vocabulary.tokens, len(SPECIALS)
    swapped = (*tokens[:words], tokens[words + 1], tokens[words], *tokens[words + 2 :])
    other = WordTokenizer(Vocabulary(swapped))
    save_artifact(replace(first, tokenizer=other), tmp_path / "other")
    mixed = Ensemble([ensemble.members[0], TextClassifier.load(tmp_path / "other", devices=1)])
    assert mixed.explanation_methods == ()
    with pytest.raises(ConfigError, match="read different tokens: explain one of them"):
        mixed.explain("good")


def test_a_saved_ensemble_gives_the_same_answers_bit_for_bit(ensemble: Ensemble, tmp_path: Path) -> None:
    for _ in range(2):  # the second time over the first
        ensemble.save(tmp_path / "both")
    for loaded in (Ensemble.load(tmp_path / "both", devices=1), load_classifier(tmp_path / "both", devices=1)):
        assert isinstance(loaded, Ensemble)
        np.testing.assert_array_equal(loaded.predict_proba(TEXTS), ensemble.predict_proba(TEXTS))
    assert (tmp_path / "both" / "README.md").read_text().count("reads backwards") == 1


def test_all_members_answer_in_the_precision_asked_for(ensemble: Ensemble, members: list[Path], tmp_path: Path) -> None:
    ensemble.save(tmp_path / "both")
    loaded = load_classifier(tmp_path / "both", precision="bfloat16")
    assert isinstance(loaded, Ensemble)
    assert [member.predict_precision for member in loaded.members] == ["bfloat16", "bfloat16"]
    alone = load_classifier(members[0], precision="bfloat16")
    assert isinstance(alone, TextClassifier)
    assert alone.predict_precision == "bfloat16"


def test_a_single_classifier_is_loaded_as_one(members: list[Path]) -> None:
    assert isinstance(load_classifier(members[0]), TextClassifier)
    with pytest.raises(ArtifactError, match="holds no ensemble"):
        Ensemble.load(members[0])


def test_members_that_do_not_belong_together_are_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    save_artifact(replace(model("classifier"), labels=("no", "yes")), tmp_path / "other")
    other = TextClassifier.load(tmp_path / "other")
    with pytest.raises(ConfigError, match="classifier 3 has the classes no, yes, but the first one bad, good"):
        Ensemble([*ensemble.members, other])
    with pytest.raises(ConfigError, match="at least one"):
        Ensemble([])
    with pytest.raises(ArtifactError, match="not trained yet"):
        Ensemble([ensemble.members[0], TextClassifier()])


def test_damage_is_named(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path / "both")
    with pytest.raises(ArtifactError, match="holds an ensemble of classifiers, but a single model is needed"):
        TextClassifier.load(tmp_path / "both")
    shutil.copytree(tmp_path / "both", tmp_path / "lost")
    (tmp_path / "lost" / "member-1" / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"member-1/config\.json is missing"):
        Ensemble.load(tmp_path / "lost")
    for change, said in [
        ({"members": ["../both/member-0"]}, "names no members"),
        ({"format_version": 9}, "format version 9"),
    ]:
        path = tmp_path / "lost" / "config.json"
        path.write_text(json.dumps(json.loads((tmp_path / "both" / "config.json").read_text()) | change))
        with pytest.raises(ArtifactError, match=said):
            Ensemble.load(tmp_path / "lost")
    (tmp_path / "both" / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"both exists and holds notes\.txt, which is not of a model"):
        ensemble.save(tmp_path / "both")
