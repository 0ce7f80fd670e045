from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scripts import imported

from reviews import reviews, write_reviews
from ulmfit_jax import ConfigError, TextClassifier
from ulmfit_jax.data import TextDataset

ROWS = jnp.array([True, True, False])


def of_like_length(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Reviews in batches of one shape, so that few programs are compiled."""
    drawn = [(text, label) for text, label in zip(*reviews(6 * count, seed), strict=True) if text.count(".") == 4]
    texts, labels = zip(*drawn[:count], strict=True)
    return list(texts), list(labels)


def test_entropy_and_divergence_are_means_over_true_rows() -> None:
    experiment = imported("unlabeled_losses")
    of, other = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])), jnp.log(jnp.full((3, 2), 0.5))
    nine = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(experiment.entropy(of, ROWS), (np.log(2) + nine) / 2, rtol=1e-6)
    np.testing.assert_allclose(experiment.divergence(of, other, ROWS), (np.log(2) - nine) / 2, rtol=1e-5)


def test_the_worst_push_has_its_norm_and_goes_where_answers_change_most() -> None:
    experiment = imported("unlabeled_losses")
    weights = jnp.array([[3.0, 0.0, 0.0], [0.0, 0.1, 0.0]])  # the first number of an embedded token decides

    def answers(parameters: dict[str, jax.Array], push: jax.Array | None) -> jax.Array:
        moved = jnp.zeros((3, 3)) if push is None else push.sum(axis=(0, 1))
        return jax.nn.log_softmax(moved @ parameters["weights"].T)

    reach = jnp.array([0.5, 2.0, 1.0])
    given, begin = {"weights": weights}, jax.random.normal(jax.random.key(0), (1, 1, 3, 3))
    push = experiment.worst_push(answers, given, ROWS, begin, reach, answers(given, None))[0, 0]
    np.testing.assert_allclose(jnp.linalg.norm(push, axis=1), [0.5, 2.0, 0.0], rtol=1e-5)  # none of a filler row
    assert (jnp.abs(push[:2, 0]) > 0.98 * reach[:2]).all()


def test_with_none_or_next_to_none_of_the_losses_it_is_the_recipe(language_model: Path) -> None:
    experiment = imported("unlabeled_losses")
    (texts, labels), (others, truth) = of_like_length(40), of_like_length(20, seed=1)
    more, _ = of_like_length(30, seed=2)
    data = (TextDataset(texts, labels, "made up"), TextDataset(others, truth, "made up"), more)
    options = experiment.argparse.Namespace(model=str(language_model), epochs=2, drop_mult=0.5, precision=None)
    found = [experiment.measure(options, chosen, data, seed=3) for chosen in ({}, {"entropy": 1e-12})]
    model = TextClassifier(
        str(language_model),
        recipe="fine_tune",
        lm_epochs=0,
        epochs=(2, 2),
        cache_frozen=True,
        validation_fraction=0.0,
        seed=3,
        devices=1,
    ).fit(texts, labels)
    expected = {"loss": model.evaluate(others, truth)["loss"], "training loss": model.history_[-1]["train_loss"]}
    for name, value in expected.items():
        np.testing.assert_allclose([each[name] for each in found], value, rtol=1e-4)


def test_a_row_without_and_one_with_both_losses(
    tmp_path: Path, language_model: Path, printed: Callable[..., list[str]]
) -> None:
    rows = [f'"{text}",{label}' for text, label in zip(*of_like_length(120), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), "utf-8")
    given = [tmp_path / "data.csv", "--model", language_model, "--documents", "60"]
    given += ["--valid-documents", "20", "--unlabeled", "40", "--epochs", "6"]
    lines = printed("unlabeled_losses", *given, "--both", "0.05", "0.05")
    assert lines[0] == "| variant | error, % | loss | training loss | seconds |"
    pattern = r"\| (.+) \| (\S+) \| (\S+) \| (\S+) \| \d+ \|"
    found = [row.groups() for line in lines[2:] if (row := re.fullmatch(pattern, line))]
    assert [name for name, *_ in found] == ["labelled texts alone", "both, 0.05 times and 0.05 tokens"]
    assert all(float(error) < 30 for _, error, *_ in found)  # the words tell
    assert found[0][2] != found[1][2]


def test_numbers_out_of_range(tmp_path: Path, printed: Callable[..., list[str]]) -> None:
    given = [write_reviews(tmp_path / "data.csv", 10), "--documents", "5", "--valid-documents", "2", "--unlabeled", "3"]
    with pytest.raises(ConfigError, match="virtual is -1"):
        printed("unlabeled_losses", *given, "--virtual", "-1")
    with pytest.raises(ConfigError, match="entropy is -2"):
        printed("unlabeled_losses", *given, "--both", "-2", "0.1")
    with pytest.raises(ConfigError, match="3 others are there, 4 are asked for"):
        printed("unlabeled_losses", *given[:-1], "4")
