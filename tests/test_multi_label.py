"""Texts with any number of labels: trained, measured, saved and explained like those with one."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score, log_loss

from labelled_sets import several
from reviews import reviews
from ulmfit_jax import ArtifactError, ConfigError, DataError, Ensemble, TextClassifier
from ulmfit_jax.ensemble import load_classifier

OPTIONS: dict[str, Any] = {
    "preset": "tiny",
    "lm_epochs": 0,
    "epochs": (1, 0, 0, 0),
    "learning_rate": 0.1,
    "batch_size": 16,
    "bptt": 24,
    "devices": 1,
}


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    """The head alone, on the vectors of the shipped language model."""
    options = {**OPTIONS, "preset": None, "epochs": (16, 0, 0, 0), "learning_rate": 0.05, "drop_mult": 0.1}
    return TextClassifier(**options, cache_frozen=True).fit(*several(240))


def indicators(model: TextClassifier, labels: list[list[str]]) -> np.ndarray:
    return np.array([[name in names for name in model.class_names] for names in labels])


def test_it_learns_each_label_by_itself(trained: TextClassifier) -> None:
    texts, labels = several(100, seed=9)
    assert trained.multi_label
    assert trained.class_names == ("food", "money", "travel")
    found = trained.evaluate(texts, labels)
    assert found["accuracy"] > 0.4  # by chance an eighth
    assert found["micro_f1"] > 0.75
    assert trained.score(texts, labels) == found["accuracy"]
    assert {"valid_loss", "error_rate", "micro_f1"} <= trained.history_[-1].keys()


def test_the_figures_are_scikit_learns(trained: TextClassifier) -> None:
    texts, labels = several(60, seed=3)
    probabilities, truth = trained.predict_proba(texts), indicators(trained, labels)
    given = probabilities > 0.5
    found = trained.evaluate(texts, labels)
    assert found["micro_f1"] == pytest.approx(f1_score(truth, given, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, given, average="macro"))
    assert found["label_accuracy"] == pytest.approx((truth == given).mean())
    assert found["accuracy"] == pytest.approx((truth == given).all(axis=1).mean())
    each = [log_loss(truth[:, k], probabilities[:, k].astype(np.float64), labels=[0, 1]) for k in range(3)]
    assert found["loss"] == pytest.approx(np.mean(each), rel=1e-4)
    assert found["classes"]["money"]["f1"] == pytest.approx(f1_score(truth[:, 1], given[:, 1]))
    assert found["classes"]["money"]["n"] == truth[:, 1].sum()


def test_probabilities_are_independent_and_predict_follows_them(trained: TextClassifier) -> None:
    texts, _ = several(40, seed=4)
    probabilities = trained.predict_proba(texts)
    assert (np.abs(probabilities.sum(axis=1) - 1) > 0.3).any()
    assert trained.predict(texts) == [
        tuple(name for name, p in zip(trained.class_names, row, strict=True) if p > 0.5) for row in probabilities
    ]
    assert {len(names) for names in trained.predict(texts)} >= {1, 2}
    assert trained.predict(texts[0]) == trained.predict(texts)[0]
    np.testing.assert_allclose(trained.predict_proba(texts[7]), probabilities[7:8], atol=1e-6)


def test_a_model_folder_keeps_it(trained: TextClassifier, tmp_path: Path) -> None:
    texts, labels = several(30, seed=5)
    trained.save(tmp_path / "model")
    again = load_classifier(tmp_path / "model", devices=1)
    assert again.multi_label
    np.testing.assert_array_equal(again.predict_proba(texts), trained.predict_proba(texts))
    assert again.evaluate(texts, labels) == trained.evaluate(texts, labels)
    assert "a text may have several" in (tmp_path / "model" / "README.md").read_text("utf-8")


@functools.cache
def of_sixty() -> TextClassifier:
    return TextClassifier(None, **OPTIONS).fit(*several(60))


@pytest.mark.slow
def test_an_ensemble_is_the_mean_of_the_probabilities(trained: TextClassifier, tmp_path: Path) -> None:
    texts, _ = several(20, seed=6)
    other = of_sixty()
    both = Ensemble([trained, other])
    mean = (trained.predict_proba(texts) + other.predict_proba(texts)) / 2
    np.testing.assert_allclose(both.predict_proba(texts), mean, atol=1e-6)
    both.save(tmp_path / "both")
    assert Ensemble.load(tmp_path / "both", devices=1).predict(texts) == both.predict(texts)


def test_one_temperature_for_all_labels_moves_no_answer(trained: TextClassifier, tmp_path: Path) -> None:
    texts, labels = several(60, seed=7)
    trained.save(tmp_path / "model")
    model = TextClassifier.load(tmp_path / "model", devices=1)
    before = model.predict(texts)
    swapped = [labels[-1], *labels[:-1]]  # so that it is wrong, and far too sure
    figures = model.calibrate(texts, swapped)
    assert figures["temperature"] > 1.5
    assert figures["loss"] < figures["loss_before"]
    assert figures["ece"] < figures["ece_before"]
    assert model.predict(texts) == before
    assert model.evaluate(texts, swapped)["loss"] == pytest.approx(figures["loss"], rel=1e-4)


@pytest.mark.slow
def test_words_are_explained_for_each_label(trained: TextClassifier) -> None:
    text = "day soup day train day soup"
    for label, word in (("food", "soup"), ("travel", "train")):
        for method in ("gradient", "leave_out"):
            explained = trained.explain(text, label, method)
            assert explained.words[int(np.argmax(explained.importances))] == word
    left_out = trained.explain(text, "food", "leave_out")
    alone = Ensemble([trained]).explain(text, "food")
    np.testing.assert_allclose(alone.importances, left_out.importances, rtol=1e-3, atol=1e-3)
    row = trained.log_probabilities([text])[0].astype(np.float64)
    assert left_out.probability == pytest.approx(np.exp(row[0]), rel=1e-5)


@pytest.mark.slow
def test_training_goes_on_as_with_one_label(tmp_path: Path) -> None:
    texts, labels = several(64)
    options = {**OPTIONS, "epochs": (1, 0, 0, 1)}
    first = TextClassifier(None, **options).fit(texts, labels, run_dir=tmp_path / "run")
    again = TextClassifier(None, **options).fit(texts, labels, run_dir=tmp_path / "run")
    np.testing.assert_array_equal(first.predict_proba(texts), again.predict_proba(texts))
    assert len({row["stage"] for row in first.history_}) == 2
    assert all(np.isfinite(row["valid_loss"]) for row in first.history_)


@pytest.mark.slow
def test_labels_may_be_sets_tuples_or_numbers() -> None:
    texts, labels = several(60)
    plain = of_sixty()
    as_sets = clone(plain).fit(texts, [set(names) for names in labels])
    np.testing.assert_array_equal(plain.predict_proba(texts), as_sets.predict_proba(texts))
    numbers = {"food": 2, "money": 10, "travel": 3}
    numbered = clone(plain).fit(texts, [tuple(numbers[name] for name in names) for names in labels])
    assert numbered.classes_.tolist() == [2, 3, 10]
    assert all(isinstance(name, int) for name in itertools.chain(*numbered.predict(texts)))


@pytest.mark.slow
def test_weights_of_labels_move_their_answers(trained: TextClassifier) -> None:
    texts, labels = several(80)
    options = {**OPTIONS, "epochs": (4, 0, 0, 0), "hidden": ()}  # labels share no hidden layer
    plain = TextClassifier(None, **options).fit(texts, labels)
    heavy = TextClassifier(None, **options, class_weight={"money": 30.0}).fit(texts, labels)
    difference = (heavy.predict_proba(texts) - plain.predict_proba(texts)).mean(axis=0)
    assert difference[1] > 0.1
    assert abs(difference[0]) < 0.1
    assert np.abs(difference[[0, 2]]).max() < difference[1] / 2


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ([["a"], "b"], DataError, "label 1: the label is 'b' where several labels a text are expected"),
        ([["a"], None], DataError, "label 1 is missing: give an empty list"),
        ([["a"], [None]], DataError, "one of the labels is None"),
        ([["a"], [["b"]]], DataError, "one of the labels is \\['b'\\]"),
        ([[], []], DataError, "no text with a label"),
        ([["a"], ["a"]], DataError, "only the label 'a', on every text"),
        (np.eye(2), DataError, "labels is a table of 2 x 2: give .* MultiLabelBinarizer"),
        ([["a"]], DataError, "2 texts and 1 label;"),
    ],
)
def test_wrong_labels_are_refused_in_a_sentence(labels: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        TextClassifier(None, **OPTIONS).fit(["one", "two"], labels)


def test_models_and_labels_of_two_kinds_do_not_go_together(trained: TextClassifier) -> None:
    texts, labels = several(20)
    with pytest.raises(DataError, match=r"one label a text, but the model gives several.*label_separator"):
        trained.evaluate(texts, ["food"] * 20)
    with pytest.raises(DataError, match="example 1 has the label 'sport', which the model does not know"):
        trained.evaluate(texts[:1], [["sport"]])
    single = TextClassifier(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), devices=1).fit(*reviews(40))
    with pytest.raises(DataError, match="several labels a text, but the model gives one"):
        single.evaluate(texts, labels)
    with pytest.raises(ConfigError, match="self_training gives a text one label"):
        TextClassifier(None, **OPTIONS, self_training=4).fit(texts, labels, unlabeled=texts)


def test_ensembles_are_of_one_kind(trained: TextClassifier) -> None:
    names = ["food", "money", "travel"]
    texts = several(60)[0]
    one = TextClassifier(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), devices=1).fit(texts, names * 20)
    with pytest.raises(ConfigError, match="classifiers of one kind"):
        Ensemble([trained, one])


def test_a_folder_with_a_strange_head_is_refused(trained: TextClassifier, tmp_path: Path) -> None:
    from ulmfit_jax.artifact.manifest import write_manifest

    trained.save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text("utf-8").replace('"multi_label": true', '"multi_label": "yes"'), "utf-8")
    write_manifest(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"config\.json is not what ulmfit-jax writes"):
        TextClassifier.load(tmp_path / "model")
