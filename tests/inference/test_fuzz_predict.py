"""Any text gets an answer: probabilities that sum to one, and the same ones whatever is asked beside it."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import cases
from reviews import reviews
from ulmfit_jax import TextClassifier
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus, corpus_in_memory
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.text import SentencePieceTokenizer, Tokenizer, WordTokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.runs import ClassifierSettings, RunContext, train_classifier
from ulmfit_jax.training.stages import Stage

TEXTS = reviews(80)[0]
TOKENIZERS = {"words": WordTokenizer.train(TEXTS), "pieces": SentencePieceTokenizer.train(TEXTS, 90)}
HEAD = Head(2, (4,), (0.1,))
MILLION = 1_000_000


def classifier(tokenizer: Tokenizer) -> TextClassifier:
    """With weights as they are drawn."""
    sizes = Architecture(len(tokenizer.vocabulary), embedding_size=4, hidden_size=4, n_layers=1)
    parameters, statistics = map(to_numpy, classifier_definition(sizes, HEAD).initialise(0))
    model = TextClassifier(devices=1)
    model._keep(Artifact("classifier", sizes, tokenizer, parameters, statistics, ("bad", "good"), HEAD))
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, TextClassifier]:
    return {name: classifier(tokenizer) for name, tokenizer in TOKENIZERS.items()}


def check(probabilities: np.ndarray, texts: list[str]) -> None:
    assert probabilities.shape == (len(texts), 2)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


HARD = [
    "",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\x1f",
    "\u2028",
    "\ufeff",
    "xxbos xxpad",
    "xxrep 3",
    "TK_REP",
    "<br />",
    "᠎",
]
any_text = (
    st.text(st.characters(codec=None), max_size=30)
    | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Co", "Cn", "Mn", "Zs"]), max_size=20)
    | st.lists(st.sampled_from(HARD), max_size=5).map("".join)
    | st.sampled_from(TEXTS)
)


@cases(60)
@given(st.lists(any_text, max_size=4), st.sampled_from(sorted(TOKENIZERS)))
def test_any_texts_are_answered_each_as_if_alone(
    models: dict[str, TextClassifier], texts: list[str], name: str
) -> None:
    model = models[name]
    together = model.predict_proba([*texts, *texts])
    check(together, [*texts, *texts])
    np.testing.assert_array_equal(together[: len(texts)], together[len(texts) :])
    for row, text in enumerate(texts):
        np.testing.assert_allclose(model.predict_proba(text)[0], together[row], atol=1e-6)
    assert model.predict(texts).tolist() == [("bad", "good")[best] for best in together.argmax(axis=1)[: len(texts)]]


LONG = {
    "one letter": "a" * MILLION,
    "no space": "lovely" * (MILLION // 6),
    "spaces": " " * MILLION,
    "no character": "\0" * MILLION,
    "halves": "\ud800" * MILLION,
    "marks": "\u0301" * MILLION,
    "capitals": "A" * MILLION,
    "one word": "gloomy " * (MILLION // 7),
    "signs": "!?" * (MILLION // 2),
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("name", sorted(TOKENIZERS))
def test_a_megabyte_of_nothing_is_cut_into_tokens(name: str, text: str) -> None:
    ids = TOKENIZERS[name].encode(text)
    assert 1 <= len(ids) <= len(text) + 2


def test_a_word_of_a_megabyte_is_answered(models: dict[str, TextClassifier]) -> None:
    texts = ["The bus was gloomy.", LONG["no space"]]
    found = models["words"].predict_proba(texts)
    check(found, texts)
    np.testing.assert_allclose(models["words"].predict_proba(texts[0])[0], found[0], atol=1e-6)


@pytest.mark.slow
def test_a_document_of_a_million_tokens_is_answered_and_learnt_from(models: dict[str, TextClassifier]) -> None:
    model, texts = models["words"], ["The bus was gloomy.", "tasty bus , " * (MILLION // 3 + 1)]
    corpus = corpus_in_memory(texts, model.artifact.tokenizer)
    assert corpus.lengths.max() > MILLION
    found = model.predict_proba(texts)
    check(found, texts)
    np.testing.assert_allclose(model.predict_proba(texts[0])[0], found[0], atol=1e-6)
    batch = next(DocumentBatches(corpus, [0, 1], 2).training_epoch())
    np.testing.assert_array_equal(batch.read(0), corpus[1])
    assert math.isfinite(learnt(model.artifact, corpus))


def learnt(start: Artifact, corpus: Corpus) -> float:
    """The loss of a step on these documents."""
    assert start.head is not None
    result = train_classifier(
        start.architecture,
        start.head,
        start.parameters,
        (corpus, np.array([0, 1], np.int32)),
        None,
        [Stage("all layers", 1, 1e-3)],
        ClassifierSettings(batch_size=2),
        0,
        RunContext(Devices(1)),
    )
    return float(result.history[-1]["train_loss"])


def test_many_threads_ask_one_model(models: dict[str, TextClassifier]) -> None:
    asked = [TEXTS[start : start + 4] for start in range(0, 80, 4)] * 3
    for name, tokenizer in TOKENIZERS.items():
        expected = [models[name].predict_proba(texts) for texts in asked]
        fresh = classifier(type(tokenizer).__reduce__(tokenizer)[0](*tokenizer.__reduce__()[1]))  # nothing met before
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(fresh.predict_proba, asked))
        finally:
            sys.setswitchinterval(interval)
        np.testing.assert_array_equal(found, expected)
