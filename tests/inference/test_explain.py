"""Importances against finite differences, against predictions without the word, and against what was taught."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from reviews import BAD, GOOD, reviews
from ulmfit_jax import ConfigError, TextClassifier
from ulmfit_jax.inference import explain
from ulmfit_jax.inference.coloured import strongest, to_html, to_terminal
from ulmfit_jax.inference.explain import METHODS, Explanation

TEXT = "12 days with it. The kettle was lovely. The novel was splendid."


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    texts, labels = reviews(200)
    options = {"lm_epochs": 2, "epochs": (1, 0, 0, 10), "learning_rate": 0.2, "batch_size": 16, "pool_layers": "last"}
    return TextClassifier(None, "tiny", devices=1, **options).fit(texts, labels)


STEPS = (4e-4, 2e-4, 1e-4)
"""Shares by which embeddings are made longer: a larger one crosses a kink of the pooling or the head sooner, a smaller
one sees less of float32."""


@pytest.fixture(scope="module")
def deep() -> TextClassifier:
    """A classifier that reads all layers."""
    texts, labels = reviews(200)
    options = {"lm_epochs": 0, "epochs": (0, 0, 0, 5), "learning_rate": 0.2, "batch_size": 16, "pool_layers": "all"}
    return TextClassifier(None, "tiny", devices=1, **options).fit(texts, labels)


@pytest.fixture(params=["forwards", "backwards", "all layers"])
def model(trained: TextClassifier, deep: TextClassifier, request: pytest.FixtureRequest) -> TextClassifier:
    settings = {"bptt": 8, "max_length": 1440}
    if request.param == "all layers":
        return changed(deep, settings=settings)
    return changed(trained, backwards=request.param == "backwards", settings=settings)


def changed(model: TextClassifier, **fields: Any) -> TextClassifier:
    """The same classifier but for these fields of its artefact."""
    other = TextClassifier(devices=1)
    other._keep(dataclasses.replace(model.artifact, **fields))
    return other


def lead(model: TextClassifier, text: str, label: str) -> float:
    """Log odds of a label."""
    row = model.log_probabilities([text])[0].astype(np.float64)  # of a probability near 1 a float32 keeps too little
    place = model.classes_.tolist().index(label)
    return float(row[place] - np.logaddexp.reduce(np.delete(row, place)))


@pytest.mark.parametrize("text", [TEXT, TEXT * 4, "kettle"], ids=["short", "many chunks", "one word"])
def test_gradient_is_the_slope_in_the_embeddings(model: TextClassifier, text: str) -> None:
    """All embeddings longer by a small share change the lead by that share of the sum of the importances."""
    total = model.explain(text, "good").importances.sum()
    assert any(total == pytest.approx(slope(model, text, step), rel=0.03, abs=3e-3) for step in STEPS)


def slope(model: TextClassifier, text: str, step: float) -> float:
    """How fast the lead of "good" grows with the share by which the embeddings are longer."""
    artifact = model.artifact
    encoder, bos = artifact.parameters["encoder"], int(artifact.tokenizer.encode(text)[0])
    moved = []
    for sign in (1, -1):
        embedding = encoder["embedding"] * (1 + sign * step)
        embedding[bos] = encoder["embedding"][bos]  # belongs to no word
        parameters = {**artifact.parameters, "encoder": {**encoder, "embedding": embedding}}
        moved.append(lead(changed(model, parameters=parameters), text, "good"))
    return (moved[0] - moved[1]) / (2 * step)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_of_a_long_document_the_tokens_that_are_pooled_decide(trained: TextClassifier, backwards: bool) -> None:
    """Gradients end at the borders of chunks, so that the slope in all embeddings is another one; but what lies outside
    of the last `max_length` tokens has none."""
    model = changed(trained, backwards=backwards, settings={"bptt": 8, "max_length": 16})
    text = TEXT * 4
    explanation, tokens = model.explain(text, "good"), len(model.artifact.tokenizer.encode(text))
    assert tokens > 40
    found = explanation.importances[::-1] if backwards else explanation.importances
    words = np.flatnonzero(found)
    assert len(words) >= 3
    assert words.min() >= len(found) // 2  # of 16 tokens of more than 40
    whole = changed(trained, backwards=backwards, settings={"bptt": 8, "max_length": 1440}).explain(text, "good")
    assert np.count_nonzero(whole.importances) > 2 * len(words)


def test_a_long_text_is_read_in_parts(model: TextClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The kettle was lovely and the bus was late again."
    at_once = model.explain(text, method="leave_out")
    monkeypatch.setattr(explain, "_MOST_TOKENS", 40)
    in_parts = model.explain(text, method="leave_out")
    np.testing.assert_allclose(in_parts.importances, at_once.importances, atol=1e-5)
    assert len(in_parts.importances) == len(text.split())


def test_left_out_words_cost_what_predictions_say(model: TextClassifier) -> None:
    text = "The kettle was lovely and the bus was gloomy"
    explanation = model.explain(text, "bad", "leave_out")
    words = text.split()
    assert [word.lower() for word in explanation.words] == [word.lower() for word in words]
    for number in (1, 3, 5, 8):
        without = " ".join(words[:number] + words[number + 1 :])
        expected = lead(model, text, "bad") - lead(model, without, "bad")
        assert explanation.importances[number] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_adjectives_decide(trained: TextClassifier, method: str) -> None:
    adjectives, others = [], []
    for text, label in zip(*reviews(20, seed=3), strict=True):
        believed = trained.explain(text, method=method)
        assert believed.label == trained.predict(text)
        assert believed.probability == pytest.approx(trained.predict_proba(text).max(), abs=1e-5)
        explanation = trained.explain(text, label, method)
        for word, importance in zip(explanation.words, explanation.importances, strict=True):
            (adjectives if word.strip(".") in (*GOOD, *BAD) else others).append(importance)
        against = trained.explain(text, "good" if label == "bad" else "bad", method)
        np.testing.assert_allclose(against.importances, -explanation.importances, atol=1e-3)
    assert len(adjectives) >= 40
    assert np.mean(adjectives) > 5 * abs(np.mean(others))


def test_a_text_without_words_has_nothing_to_explain(model: TextClassifier) -> None:
    for method in METHODS:
        explanation = model.explain("", method=method)
        assert explanation.words == ()
        assert explanation.importances.shape == (0,)
        assert to_html(explanation) == to_terminal(explanation) == ""


def test_unknown_methods_and_labels_are_refused(model: TextClassifier) -> None:
    with pytest.raises(ConfigError, match="method is 'magic': this model is explained by gradient or leave_out"):
        model.explain(TEXT, method="magic")
    with pytest.raises(ConfigError, match="there is no label 'ugly': the classes are 'bad', 'good'"):
        model.explain(TEXT, "ugly")


def test_printed_and_in_a_notebook() -> None:
    shown = Explanation(("a", "<b>"), np.array([0.25, -1.0], np.float32), "x & y", 0.75, "gradient")
    assert str(shown) == "x & y 0.750: a +0.25, <b> -1"
    page = shown._repr_html_()
    assert page.startswith("<p>x &amp; y 0.750</p>")
    assert to_html(shown) in page
    nothing = Explanation((), np.zeros(0, np.float32), "x", 0.5, "gradient")
    assert str(nothing) == "x 0.500: (no words)"


def test_colours_say_for_and_against() -> None:
    explanation = Explanation(("<b>", "bad", "of"), np.array([2.0, -1.0, 0.01], np.float32), "good", 0.9, "gradient")
    assert to_html(explanation) == (
        '<span title="+2.000" style="background: rgba(33, 102, 172, 0.75)">&lt;b&gt;</span> '
        '<span title="-1.000" style="background: rgba(217, 115, 4, 0.38)">bad</span> '
        '<span title="+0.010">of</span>'
    )
    assert to_terminal(explanation) == ("\x1b[97;48;2;33;102;172m<b>\x1b[0m \x1b[30;48;2;236;185;130mbad\x1b[0m of")
    assert strongest(explanation) == ([("<b>", 2.0), ("of", pytest.approx(0.01))], [("bad", -1.0)])
