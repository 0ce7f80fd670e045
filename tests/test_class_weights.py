"""Class weights: their values beside scikit-learn's, the loss beside torch's definition, sentences about mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from reviews import reviews
from ulmfit_jax import ConfigError, TextClassifier
from ulmfit_jax.class_weights import class_weights

LABELS = ["a"] * 7 + ["b"] * 2 + ["c"] * 3


def test_balanced_weights_are_scikit_learn_s() -> None:
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(LABELS))
    np.testing.assert_allclose(class_weights("balanced", ("a", "b", "c"), LABELS) or (), expected, rtol=1e-12)


def test_a_class_that_no_text_has_is_not_counted() -> None:
    expected = [*compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(LABELS)), 1.0]
    np.testing.assert_allclose(class_weights("balanced", ("a", "b", "c", "d"), LABELS) or (), expected, rtol=1e-12)
    assert class_weights("balanced", ("a", "b"), [("a",), (), ("a",)]) == (0.5, 1.0)


def test_weights_by_label() -> None:
    assert class_weights({"c": 2, "a": 0.5}, ("a", "b", "c"), LABELS) == (0.5, 1.0, 2.0)
    assert class_weights({1: 2.0, np.int64(0): 3}, ("0", "1"), ["0", "1"]) == (3.0, 2.0)
    assert class_weights(None, ("a", "b"), LABELS) is None


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("balance", "class_weight is 'balance': give 'balanced', a dictionary"),
        ([1.0, 2.0], "give 'balanced', a dictionary"),
        ({"good": 0}, "class_weight of 'good' is 0: a weight is a finite number above 0"),
        ({"good": -1.0}, "above 0"),
        ({"good": float("nan")}, "above 0"),
        ({"good": float("inf")}, "above 0"),
        ({"good": True}, "above 0"),
        ({"good": "2"}, "above 0"),
        ({"good": None}, "above 0"),
        ({"superb": 2.0}, "class_weight names 'superb', which is none of the labels 'bad', 'good'"),
        ({None: 2.0}, "class_weight names None, which is none of the labels"),
        ({"good": 2.0, " good ": 3.0}, "class_weight names ' good ', twice"),
    ],
)
def test_what_cannot_be_weights_is_refused_before_training(chosen: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        TextClassifier(None, "tiny", lm_epochs=0, class_weight=chosen, devices=1).fit(*reviews(40))


@pytest.mark.slow
def test_weights_move_the_answers_and_stand_on_the_card(tmp_path: Any) -> None:
    texts, labels = reviews(40)
    options: dict[str, Any] = {"lm_epochs": 0, "epochs": (4, 0, 0, 0), "learning_rate": 0.1, "batch_size": 8}
    shares = {}
    for name, chosen in (("plain", None), ("even", {"good": 1}), ("good", {"good": 50.0})):
        model = TextClassifier(None, "tiny", class_weight=chosen, devices=1, **options).fit(texts, labels)
        shares[name] = model.predict_proba(texts)[:, 1].mean()
        recorded = model.artifact.provenance["training"].get("class_weights")
        assert recorded == (None if chosen is None else {"bad": 1.0, "good": float(chosen["good"])})
    assert shares["even"] == pytest.approx(shares["plain"], abs=1e-4)
    assert shares["good"] > shares["plain"] + 0.1
    model.save(tmp_path / "model")
    assert "class weights: {'bad': 1.0, 'good': 50.0}" in (tmp_path / "model" / "README.md").read_text()
