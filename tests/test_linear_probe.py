"""`TextClassifier(recipe="linear_probe")`: an encoder that stays as it is under a head that is fitted at once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reviews import reviews
from ulmfit_jax import ConfigError, LanguageModel, TextClassifier, TrainingError
from ulmfit_jax.data.lists import labelled_texts
from ulmfit_jax.dry_run import dry_run
from ulmfit_jax.linear_head import fitted_head
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training import linear_probe


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return LanguageModel(None, "tiny", epochs=1, batch_size=8, devices=1).fit(reviews(300)[0])


def probe(language_model: LanguageModel, **options: Any) -> TextClassifier:
    defaults = {"recipe": "linear_probe", "lm_epochs": 0, "devices": 1}
    return TextClassifier(language_model, **{**defaults, **options})


def test_the_head_is_the_fitted_one_and_the_encoder_as_it_was(language_model: LanguageModel, tmp_path: Path) -> None:
    texts, labels = reviews(80)
    model = probe(language_model, validation_fraction=0).fit(texts, labels)
    before, after = (flatten(each.artifact.parameters["encoder"]) for each in (language_model, model))
    for path, array in before.items():
        np.testing.assert_array_equal(after[path], array, err_msg=path)
    vectors, targets = model.encode(texts), np.array([label == "good" for label in labels]).astype(int)
    head = fitted_head(vectors, targets, 2)
    scores = (vectors - head.mean) / np.sqrt(head.variance + 1e-5) @ head.weights + head.offsets
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(texts), expected, atol=1e-4)
    (row,) = model.history_
    assert (row["stage"], row["epoch"], row["step"]) == ("linear probe", 0, 1)
    assert row["train_loss"] == pytest.approx(-np.log(expected[np.arange(80), targets]).mean(), abs=1e-4)
    assert model.evaluate(*reviews(100, seed=9))["accuracy"] > 0.9
    model.save(tmp_path / "model", half_precision=True)
    loaded = TextClassifier.load(tmp_path / "model", devices=1)
    np.testing.assert_allclose(loaded.predict_proba(texts), model.predict_proba(texts), atol=5e-3)


def test_the_validation_texts_measure_it(language_model: LanguageModel) -> None:
    model = probe(language_model, validation_fraction=0.5).fit(*reviews(120))
    (row,) = model.history_
    assert model.artifact.provenance["training"]["validation_documents"] == 60
    assert row["error_rate"] < 0.3
    assert row["valid_loss"] > row["train_loss"]


def test_a_finished_run_is_read_and_another_is_refused(
    language_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = reviews(60)
    first = probe(language_model).fit(texts, labels, run_dir=tmp_path)
    with pytest.raises(ConfigError, match="holds a run"):
        probe(language_model, recipe="fine_tune").fit(texts, labels, run_dir=tmp_path)
    with pytest.raises(ConfigError, match="holds a run"):
        probe(language_model, bptt=36).fit(texts, labels, run_dir=tmp_path)
    monkeypatch.setattr(linear_probe, "fitted_head", None)
    again = probe(language_model).fit(texts, labels, run_dir=tmp_path)
    np.testing.assert_array_equal(again.predict_proba(texts), first.predict_proba(texts))
    assert again.history_ == first.history_


def test_a_plan_reads_each_text_once(language_model: LanguageModel, tmp_path: Path) -> None:
    texts, labels = reviews(60)
    data = labelled_texts(texts, labels, "the training data")
    model = probe(language_model, self_training=30)
    plan = dry_run(model, data, reviews(30, seed=5)[0], seconds=0)
    assert [(row["part"], row["name"], row["steps"], row["learning_rate"]) for row in plan["stages"]] == [
        ("classifier", "linear probe", 1, None),
        ("self_training", "linear probe", 1, None),
    ]
    model.fit(texts, labels, reviews(30, seed=5)[0], run_dir=tmp_path)
    left = dry_run(model, data, reviews(30, seed=5)[0], run_dir=tmp_path, seconds=0)
    assert [(row["done"], row["seconds"]) for row in left["stages"]] == [(1, 0.0), (1, 0.0)]


def test_devices_do_not_matter(language_model: LanguageModel) -> None:
    texts, labels = reviews(60)
    one, two = (probe(language_model, devices=devices).fit(texts, labels) for devices in (1, 2))
    np.testing.assert_allclose(two.predict_proba(texts), one.predict_proba(texts), atol=1e-4)


@pytest.mark.slow
def test_several_labels_weights_and_three_classes(language_model: LanguageModel) -> None:
    texts, labels = reviews(80)
    sets = [[label] if number % 3 else [label, "third"] for number, label in enumerate(labels)]
    model = probe(language_model).fit(texts, sets)
    assert model.multi_label
    assert model.evaluate(*reviews(60, seed=9)[:1], [[label] for label in reviews(60, seed=9)[1]])["micro_f1"] > 0.7
    three = [label if number % 3 else "third" for number, label in enumerate(labels)]
    rare, even = (probe(language_model, class_weight=w).fit(texts, three) for w in ({"third": 0.05}, None))
    shares = [(each.predict(texts) == "third").mean() for each in (rare, even)]
    assert shares[0] == 0
    assert rare.predict_proba(texts)[:, 2].mean() < even.predict_proba(texts)[:, 2].mean() / 2


def test_self_training_fits_it_anew_to_all_texts(language_model: LanguageModel) -> None:
    texts, labels = reviews(40)
    more = reviews(100, seed=5)[0]
    model = probe(language_model, self_training=100, validation_fraction=0).fit(texts, labels, more)
    assert [row["stage"] for row in model.history_] == ["linear probe", "linear probe"]
    assert model.artifact.provenance["training"]["pseudo_labelled_documents"] == 100
    mean = model.encode([*texts, *more]).mean(axis=0)
    np.testing.assert_allclose(model.artifact.statistics["head"]["norm_0"]["mean"], mean, atol=1e-4)
    assert model.evaluate(*reviews(100, seed=9))["accuracy"] > 0.9


@pytest.mark.parametrize(
    "options",
    [{"epochs": (1, 1, 1, 2)}, {"learning_rate": 0.1}, {"lr_mult": 2}, {"label_smoothing": 0.1}, {"adversarial": 0.1}],
    ids=lambda options: next(iter(options)),
)
def test_what_training_in_steps_has_is_refused(language_model: LanguageModel, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=f"{name} is .*: linear_probe fits a head at once and has none"):
        probe(language_model, **options).fit(*reviews(20))


def test_more_classes_than_features(language_model: LanguageModel) -> None:
    texts = [f"text {number}" for number in range(2200)]
    with pytest.raises(ConfigError, match="linear_probe tells at most as many classes apart as a text has numbers"):
        probe(language_model, validation_fraction=0).fit(texts, [str(number // 2) for number in range(2200)])


def test_an_encoder_that_gives_no_numbers(language_model: LanguageModel) -> None:
    spoilt = copy.deepcopy(language_model.artifact)
    spoilt.parameters["encoder"]["lstm_0"]["input_bias"][0] = np.nan
    with pytest.raises(TrainingError, match="numbers that are not finite: start from another model"):
        probe(LanguageModel.from_artifact(spoilt, name="spoilt")).fit(*reviews(20))


def test_the_table_says_that_it_is_fitted(language_model: LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    probe(language_model, verbose=True).fit(*reviews(40))
    told = capsys.readouterr().err
    assert "\nlinear probe: fitted at once\n" in told
    assert "rate" not in told.replace("error rate", "")
