from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import laid_out

from oracles.cross_entropy import weighted_cross_entropy
from oracles.documents import probabilities
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.classifier import ClassifierNetwork, Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten

SIZES = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=1)
HEAD = Head(n_classes=3, hidden=(6,))
DEFINITION = ModuleDefinition(lambda rngs: ClassifierNetwork(SIZES, HEAD, rngs=rngs))
QUIET = ModuleDefinition(lambda rngs: ClassifierNetwork(SIZES, Head(3, (6,), dropouts=(0.0,)), rngs=rngs))
BPTT, MAX_LENGTH = 4, 8
DOCUMENT = st.integers(1, 15).flatmap(lambda n: st.lists(st.integers(2, 19), min_size=n, max_size=n))


@pytest.fixture(scope="module")
def weights() -> tuple[Tree, Tree]:
    """Parameters larger than at the start, and running statistics away from theirs."""
    parameters, statistics = DEFINITION.initialise(1)
    parameters["encoder"]["embedding"] *= 20
    random = np.random.default_rng(0)
    return parameters, jax.tree.map(lambda leaf: random.uniform(0.1, 2, leaf.shape).astype(np.float32), statistics)


@jax.jit
def class_probabilities(parameters: Tree, statistics: Tree, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
    return jax.nn.softmax(DEFINITION.bind(parameters, statistics).scores(tokens, lengths, MAX_LENGTH))


@settings(max_examples=20)
@given(documents=st.lists(DOCUMENT, min_size=3, max_size=3), chunks=st.sampled_from([4, 6]))
def test_probabilities_are_the_same_alone_in_any_batch_and_in_any_bucket(
    weights: tuple[Tree, Tree], documents: list[list[int]], chunks: int
) -> None:
    batch = np.asarray(class_probabilities(*weights, *laid_out(documents, BPTT, chunks)))
    np.testing.assert_allclose(batch.sum(axis=1), 1, rtol=1e-6)
    for row, document in enumerate(documents):
        alone = class_probabilities(*weights, *laid_out([document], BPTT))[0]
        np.testing.assert_allclose(batch[row], alone, atol=1e-5)
        np.testing.assert_allclose(batch[row], probabilities(*weights, document, BPTT, MAX_LENGTH), atol=1e-5)


@partial(jax.jit, static_argnums=(5, 6, 7))
def training_pass(
    parameters: Tree,
    statistics: Tree,
    tokens: jax.Array,
    lengths: jax.Array,
    labels: jax.Array,
    activation: float = 0.0,
    temporal: float = 0.0,
    smoothing: float = 0.0,
) -> tuple[jax.Array, jax.Array, Tree]:
    """Loss, cross-entropy and new statistics without dropout."""
    network = QUIET.bind(parameters, statistics)
    noise = Noise(jax.random.key(0), Dropouts(), jnp.arange(labels.shape[0], dtype=jnp.int32))
    loss, cross_entropy = network.loss(
        tokens,
        lengths,
        labels,
        noise,
        activation_penalty=activation,
        temporal_penalty=temporal,
        label_smoothing=smoothing,
    )
    return loss, cross_entropy, QUIET.statistics_of(network)


def training_loss(
    weights: tuple[Tree, Tree], batch: tuple[np.ndarray, np.ndarray], labels: list[int], *options: float
) -> tuple[jax.Array, jax.Array, Tree]:
    return training_pass(*weights, *batch, np.array(labels, np.int32), *options)


DOCUMENTS, LABELS = [[2, 3, 4, 5, 6], [7, 8], [9, 3, 5, 12]], [0, 2, 1]


def test_filler_rows_count_in_nothing(weights: tuple[Tree, Tree]) -> None:
    loss, cross_entropy, statistics = training_loss(weights, laid_out(DOCUMENTS, BPTT), LABELS)
    filled = training_loss(weights, laid_out([*DOCUMENTS, []], BPTT), [*LABELS, -1])
    np.testing.assert_allclose([loss, *filled[:2]], [cross_entropy] * 3, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), filled[2], statistics)


def test_label_smoothing_mixes_in_the_uniform_distribution(weights: tuple[Tree, Tree]) -> None:
    batch = laid_out(DOCUMENTS, BPTT)
    plain = [float(training_loss(weights, batch, [label] * 3)[1]) for label in range(3)]
    smooth = float(training_loss(weights, batch, [1] * 3, 0.0, 0.0, 0.3)[1])
    assert smooth == pytest.approx(0.7 * plain[1] + 0.3 * np.mean(plain), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_target_of_probabilities_is_the_mean_over_its_classes(weights: tuple[Tree, Tree], smoothing: float) -> None:
    share = np.array([[0.2, 0.5, 0.3], [1, 0, 0], [0, 0.9, 0.1]], np.float32)
    batch = laid_out(DOCUMENTS, BPTT)
    found = float(training_pass(*weights, *batch, share, 0.0, 0.0, smoothing)[1])
    of_labels = np.zeros(3)
    for document in range(3):
        alone = [np.where(np.arange(3) == document, label, 0) for label in range(3)]
        losses = [float(training_loss(weights, batch, labels.tolist(), 0.0, 0.0, smoothing)[1]) for labels in alone]
        base = float(training_loss(weights, batch, [0, 0, 0], 0.0, 0.0, smoothing)[1])
        of_labels[document] = share[document] @ (np.array(losses) - base)
    assert found == pytest.approx(base + of_labels.sum(), rel=1e-4)
    filled = laid_out([*DOCUMENTS, []], BPTT)
    with_filler = training_pass(
        *weights, *filled, np.vstack([share, np.full((1, 3), -1, np.float32)]), 0.0, 0.0, smoothing
    )
    assert float(with_filler[1]) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_weights_give_torch_s_weighted_mean(weights: tuple[Tree, Tree], smoothing: float) -> None:
    labels, of_classes = [0, 2, 1, 2, -1], [0.2, 3.0, 0.7]
    rows = np.array(labels) >= 0
    vectors = np.random.default_rng(2).normal(size=(5, 3 * SIZES.embedding_size)).astype(np.float32)
    noise = Noise(jax.random.key(0), Dropouts(), jnp.arange(5, dtype=jnp.int32))

    @jax.jit
    def scores_and_loss(
        parameters: Tree, statistics: Tree, rows: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        scores = QUIET.bind(parameters, statistics).head(vectors, rows, noise)
        return scores, QUIET.bind(parameters, statistics).head_loss(vectors, rows, labels, noise, smoothing, of_classes)

    scores, loss = scores_and_loss(*weights, rows, np.array(labels, np.int32))
    twin = weighted_cross_entropy(np.asarray(scores, np.float64), labels, of_classes, smoothing)
    torch = pytest.importorskip("torch")
    theirs = torch.nn.CrossEntropyLoss(torch.tensor(of_classes), label_smoothing=smoothing)
    expected = theirs(torch.tensor(np.array(scores))[:4], torch.tensor(labels[:4]))
    np.testing.assert_allclose([twin, float(expected)], float(loss), rtol=1e-5)


def test_the_loss_is_the_mean_where_there_are_fewer_rows_than_devices(weights: tuple[Tree, Tree]) -> None:
    vectors = np.random.default_rng(3).normal(size=(8, 1, 3 * SIZES.embedding_size)).astype(np.float32)
    labels = np.array([0, 2, 1, 2, 1, -1, -1, -1], np.int32)[:, None]

    def loss(vectors: jax.Array, labels: jax.Array, axis_name: str | None = None) -> jax.Array:
        noise = Noise(jax.random.key(0), Dropouts(), jnp.arange(labels.shape[0], dtype=jnp.int32))
        return QUIET.bind(*weights).head_loss(vectors, labels >= 0, labels, noise, axis_name=axis_name)

    shared = jax.vmap(partial(loss, axis_name="devices"), axis_name="devices")(vectors, labels).mean()
    assert float(shared) == pytest.approx(float(loss(vectors[:5, 0], labels[:5, 0])), rel=1e-5)


def test_penalties_are_in_the_loss_and_not_in_the_cross_entropy(weights: tuple[Tree, Tree]) -> None:
    batch = laid_out(DOCUMENTS, BPTT)
    loss, cross_entropy, _ = training_loss(weights, batch, LABELS, 2.0, 1.0)
    plain, plain_cross_entropy, _ = training_loss(weights, batch, LABELS)
    assert float(loss) > float(plain) + 1e-3
    assert float(cross_entropy) == pytest.approx(float(plain_cross_entropy), rel=1e-6)


def test_the_head_is_fastai_s() -> None:
    sizes = Architecture(vocabulary_size=20, embedding_size=400, hidden_size=4, n_layers=1)
    definition = ModuleDefinition(lambda rngs: ClassifierNetwork(sizes, Head(2), rngs=rngs))
    parameters = definition.initialise(0)[0]["head"]
    shapes = {path: array.shape for path, array in flatten(parameters).items() if "dense" in path}
    assert shapes == {"dense_0/kernel": (1200, 50), "dense_1/kernel": (50, 2)}
    for kernel in (parameters["dense_0"]["kernel"], parameters["dense_1"]["kernel"]):
        bound = kernel.shape[0] ** -0.5
        assert 0.8 * bound < float(abs(kernel).max()) <= bound
    assert Head(2).dropouts == (0.1,)


def test_other_depths_of_head() -> None:
    head = Head(2, hidden=(5, 4), dropouts=(0.1, 0.2))
    definition = ModuleDefinition(lambda rngs: ClassifierNetwork(SIZES, head, rngs=rngs))
    parameters, statistics = definition.initialise(0)
    tokens, lengths = laid_out(DOCUMENTS, BPTT)
    scores = jax.jit(lambda: jax.nn.softmax(definition.bind(parameters, statistics).scores(tokens, lengths)))()
    for row, document in enumerate(DOCUMENTS):
        np.testing.assert_allclose(scores[row], probabilities(parameters, statistics, document, BPTT), atol=1e-5)


def test_a_head_that_reads_all_layers() -> None:
    sizes = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=2)
    head = Head(2, hidden=(), dropouts=(), pool_layers="all")
    definition = ModuleDefinition(lambda rngs: ClassifierNetwork(sizes, head, rngs=rngs))
    parameters, statistics = definition.initialise(0)
    assert parameters["head"]["dense_0"]["kernel"].shape == (head.features(sizes), 2) == (3 * 3 + 3 + 4, 2)
    tokens, lengths = laid_out(DOCUMENTS, BPTT)
    scores = jax.jit(lambda: jax.nn.softmax(definition.bind(parameters, statistics).scores(tokens, lengths)))()
    for row, document in enumerate(DOCUMENTS):
        expected = probabilities(parameters, statistics, document, BPTT, all_layers=True)
        np.testing.assert_allclose(scores[row], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"n_classes": 0}, "n_classes is 0"),
        ({"n_classes": 2, "hidden": (50, 0)}, "hidden"),
        ({"n_classes": 2, "hidden": (50, 20)}, "dropouts"),
        ({"n_classes": 2, "dropouts": (1.0,)}, "dropouts"),
        ({"n_classes": 2, "pool_layers": "first"}, "pool_layers is 'first': choose one of last, all"),
    ],
)
def test_impossible_heads_are_named(sizes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Head(**sizes)


def test_a_head_is_read_from_a_dictionary_only() -> None:
    for head in (Head(3, (7,), (0.2,)), Head(2, (), (), multi_label=True, pool_layers="all")):
        assert Head.from_dict(head.to_dict()) == head
    assert Head(2).to_dict().keys() == {"n_classes", "hidden", "dropouts"}  # as in files from before there was more
    for wrong in (True, [3], "head", 3):
        with pytest.raises(TypeError):
            Head.from_dict(wrong)  # type: ignore[arg-type]
