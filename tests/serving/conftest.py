"""A tiny classifier, a server that answers with it, and a client of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hostile import HOSTILE

from reviews import reviews
from ulmfit_jax import TextClassifier

if TYPE_CHECKING:
    import httpx


@pytest.fixture(scope="session")
def classifier() -> TextClassifier:
    texts, labels = reviews(60)
    texts[:4] = [f"{text} {HOSTILE}" for text in texts[:4]]  # or its signs would be unknown to the tokeniser
    options: dict[str, Any] = {"lm_epochs": 0, "epochs": (1, 0, 0, 4), "learning_rate": 0.2, "batch_size": 16}
    return TextClassifier(None, "tiny", devices=1, bptt=8, **options).fit(texts, labels)


@pytest.fixture(scope="session")
def address(classifier: TextClassifier) -> Iterator[str]:
    from asking import Running

    from ulmfit_jax.serving.answers import ServedModel

    running = Running(ServedModel(classifier, "tiny <i>one</i>"))
    yield running.address
    running.end()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    import httpx

    with httpx.Client(base_url=address, timeout=300) as client:
        yield client
