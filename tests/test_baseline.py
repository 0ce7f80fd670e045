"""The baseline: scikit-learn's TF-IDF and logistic regression, within what memory holds."""

from __future__ import annotations

import pytest

from reviews import reviews
from ulmfit_jax import baseline


def test_of_many_classes_the_most_frequent_words_count(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = reviews(80)
    whole = baseline.tfidf_model(texts, labels)
    monkeypatch.setattr(baseline, "_MOST_WEIGHTS", 2 * 30)
    small = baseline.tfidf_model(texts, labels)
    assert len(small[0].vocabulary_) == 30 < len(whole[0].vocabulary_)
    assert "was" in small[0].vocabulary_
    assert small.score(texts, labels) > 0.7
