"""The fitted head lies where the gradient of its loss is zero, and says the same as a network's head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ulmfit_jax.folds import fold_of_each
from ulmfit_jax.linear_head import INVERSE_PENALTIES, LinearHead, fitted_head
from ulmfit_jax.nn.classifier import Head, PoolingHead
from ulmfit_jax.nn.parameters import ModuleDefinition


def documents(count: int, features: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    scales = np.exp(random.normal(size=features))
    return ((random.normal(size=(count, features)) + random.normal(size=features)) * scales).astype(np.float32)


def classes(vectors: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    scores = StandardScaler().fit_transform(vectors) @ random.normal(size=(vectors.shape[1], count))
    return (scores + random.normal(size=scores.shape) * 3).argmax(axis=1)


def standardised(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    return (vectors - vectors.mean(axis=0)) / np.sqrt(vectors.var(axis=0) + 1e-5)


def gradients(head: LinearHead, vectors: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> list[float]:
    """Largest gradients of the weights and of the offsets, per document; `counts` weigh documents or questions."""
    scaled = standardised(vectors)
    scores = scaled @ head.weights + head.offsets
    if targets.ndim == 2:
        residuals, penalised = counts * (expit(scores) - targets), head.weights
    else:
        one_hot = np.eye(len(head.offsets))[targets]
        residuals, penalised = counts[:, None] * (softmax(scores, axis=1) - one_hot), head.weights
        if len(head.offsets) == 2:  # the penalty is that of the difference of the two scores
            penalised = 2 * head.weights
    by_weight = scaled.T @ residuals + penalised / head.inverse_penalty
    return [float(np.abs(each).max() / len(targets)) for each in (by_weight, residuals.sum(axis=0))]


@pytest.mark.parametrize("count", [60, 20], ids=["more documents than features", "more features than documents"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_gradient_is_zero(count: int, n_classes: int, is_weighted: bool) -> None:
    vectors = documents(count, 30)
    targets = classes(vectors, n_classes)
    weights = np.array([0.5, 2.0, 1.5][:n_classes]) if is_weighted else np.ones(n_classes)
    head = fitted_head(vectors, targets, n_classes, weights if is_weighted else None)
    assert max(gradients(head, vectors, targets, weights[targets])) < 1e-3
    moved = head._replace(weights=head.weights * 1.1)
    assert max(gradients(moved, vectors, targets, weights[targets])) > 2e-3, "the bound tells"


def test_several_labels_are_questions_of_their_own() -> None:
    vectors = documents(60, 30)
    targets = np.stack([classes(vectors, 2, seed) for seed in (1, 2, 3)], axis=1)
    targets[:, 1] = 1
    weights = np.array([3.0, 1.0, 0.5])
    head = fitted_head(vectors, targets, 3, weights)
    counts = np.where(targets > 0, weights, 1.0)
    own = head._replace(weights=head.weights[:, [0, 2]], offsets=head.offsets[[0, 2]])
    assert max(gradients(own, vectors, targets[:, [0, 2]], counts[:, [0, 2]])) < 1e-3
    assert not head.weights[:, 1].any()
    assert head.offsets[1] == pytest.approx(np.log(60.5 / 0.5))


def of_network(head: LinearHead, vectors: np.ndarray, multi_label: bool = False) -> np.ndarray:
    sizes = Head(len(head.offsets), (), (), multi_label)
    definition = ModuleDefinition(lambda rngs: PoolingHead(vectors.shape[1], sizes, rngs=rngs))
    parameters, statistics = head.parameters()
    definition.check(parameters, statistics)
    return np.asarray(definition.bind(parameters, statistics)(vectors))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_a_networks_head_gives_the_same_scores(n_classes: int) -> None:
    vectors = documents(40, 30)
    head = fitted_head(vectors, classes(vectors, min(n_classes, 4)), n_classes)  # of five, one has no document
    expected = standardised(vectors) @ head.weights + head.offsets
    found = of_network(head, vectors)
    missing = n_classes - 1 if n_classes == 5 else n_classes
    np.testing.assert_allclose(found[:, :missing], expected[:, :missing], atol=1e-4)
    if n_classes == 5:
        assert found[:, 4].mean() == pytest.approx(-np.log(41), abs=0.1)
        assert (found.argmax(axis=1) != 4).all()


def test_a_label_of_all_documents_stays_in_the_networks_head() -> None:
    vectors = documents(40, 30)
    targets = np.stack([np.ones(40, np.int64), classes(vectors, 2), np.zeros(40, np.int64)], axis=1)
    found = of_network(fitted_head(vectors, targets, 3), vectors, multi_label=True)
    np.testing.assert_allclose(found[:, [0, 2]].mean(axis=0), [np.log(40.5 / 0.5), -np.log(40.5 / 0.5)], atol=0.05)
    assert (found[:, 0] > 3).all()
    assert (found[:, 2] < -3).all()


def test_the_penalty_has_the_least_loss_on_documents_left_out() -> None:
    vectors = documents(50, 30)
    targets = classes(vectors, 3)
    order = np.random.default_rng(0).permutation(50)
    scaled, targets_in_order = standardised(vectors)[order], targets[order]
    part = fold_of_each(targets_in_order)
    losses = []
    for inverse_penalty in INVERSE_PENALTIES:
        total = 0.0
        for fold in range(5):
            model = LogisticRegression(C=inverse_penalty, max_iter=5000)
            model.fit(scaled[part != fold], targets_in_order[part != fold])
            given = model.predict_log_proba(scaled[part == fold])
            total -= given[np.arange(len(given)), targets_in_order[part == fold]].sum()
        losses.append(total)
    assert 0 < np.argmin(losses) < len(losses) - 1, "a choice that tells"
    assert fitted_head(vectors, targets, 3).inverse_penalty == INVERSE_PENALTIES[np.argmin(losses)]


@pytest.mark.parametrize("targets", [[0, 1], [1, 1, 0], [1, 1]])
def test_next_to_no_documents(targets: list[int]) -> None:
    vectors = documents(len(targets), 30)
    scores = of_network(fitted_head(vectors, np.array(targets), 2), vectors)
    assert scores.argmax(axis=1).tolist() == targets


def test_a_feature_that_never_varies() -> None:
    vectors = documents(40, 30)
    vectors[:, 3] = 7.0
    head = fitted_head(vectors, classes(vectors, 2), 2)
    assert np.isfinite(head.weights).all()
    assert np.abs(head.weights[3]).max() < 1e-3
