"""Binary cross-entropy of several labels a document, against torch's formula written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ulmfit_jax.nn.label_loss import binary_cross_entropy
from ulmfit_jax.training.label_measures import label_measures, micro_f1


def plain(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    p = 1 / (1 + np.exp(-scores.astype(np.float64)))
    return float(-(weights * targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean())


@pytest.mark.parametrize("weights", [None, (1.0, 3.0, 0.5)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_mean_over_true_rows_and_classes(weights: tuple[float, ...] | None, smoothing: float) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(6, 3)).astype(np.float32) * 3
    labels = random.integers(0, 2, size=(6, 3)).astype(np.int32)
    rows = np.array([True, True, True, True, False, False])
    labels[~rows] = -1
    found = binary_cross_entropy(jnp.asarray(scores), jnp.asarray(rows), jnp.asarray(labels), smoothing, weights)
    targets = np.where(labels[:4] > 0, 1 - smoothing / 2, smoothing / 2)
    assert float(found) == pytest.approx(plain(scores[:4], targets, np.array(weights or (1, 1, 1))), rel=1e-5)


def test_it_is_the_mean_where_there_are_fewer_rows_than_devices() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(8, 1, 3)).astype(np.float32), random.integers(0, 2, (8, 1, 3)).astype(np.int32)
    rows = np.array([True] * 5 + [False] * 3)[:, None]
    each = jax.vmap(lambda *one: binary_cross_entropy(*one, axis_name="devices"), axis_name="devices")
    found = each(scores, rows, labels).mean()
    assert float(found) == pytest.approx(plain(scores[:5], labels[:5], np.ones(3)), rel=1e-5)


def test_it_agrees_with_torch_where_it_is_installed() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(1)
    scores = random.normal(size=(5, 4)).astype(np.float32)
    labels = random.integers(0, 2, size=(5, 4)).astype(np.int32)
    weights = (2.0, 1.0, 0.3, 4.0)
    rows = jnp.ones((5,), bool)
    value, slope = jax.value_and_grad(binary_cross_entropy)(
        jnp.asarray(scores), rows, jnp.asarray(labels), 0.0, weights
    )
    tensor = torch.tensor(scores, requires_grad=True)
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights))(tensor, torch.tensor(labels).float())
    loss.backward()
    assert float(value) == pytest.approx(loss.item(), rel=1e-6)
    np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_extreme_scores_stay_finite() -> None:
    scores = jnp.asarray([[200.0, -200.0]], jnp.float32)
    rows, wrong = jnp.ones((1,), bool), jnp.asarray([[0, 1]], jnp.int32)
    assert float(binary_cross_entropy(scores, rows, wrong)) == pytest.approx(200)
    log_probabilities = np.asarray(jax.nn.log_sigmoid(scores))
    assert np.isfinite(label_measures(log_probabilities, np.array([[0, 1]]))["valid_loss"])


def test_measures_count_texts_and_questions() -> None:
    log_probabilities = np.log(np.array([[0.9, 0.2], [0.6, 0.7], [0.5, 0.1]], np.float32))
    truth = np.array([[1, 0], [1, 0], [1, 0]])
    found = label_measures(log_probabilities, truth)
    assert found["error_rate"] == pytest.approx(2 / 3)  # 0.5 is not above the threshold
    assert found["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    expected = -np.log([0.9, 0.8, 0.6, 0.3, 0.5, 0.9]).mean()
    assert found["valid_loss"] == pytest.approx(expected, rel=1e-6)
    assert micro_f1(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0
