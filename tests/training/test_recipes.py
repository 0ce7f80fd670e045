"""The recipes' numbers against those published, and each recipe run once from end to end."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from tiny_runs import BPTT, CLIPPED, SIZES, documents, stream_corpus

from ulmfit_jax import TextClassifier
from ulmfit_jax.classifier_configuration import planned_configuration
from ulmfit_jax.data import TextDataset
from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.optim.groups import CLASSIFIER_GROUPS, LANGUAGE_MODEL_GROUPS, discriminative_rates, freeze_to
from ulmfit_jax.training.language_model import language_model_definition
from ulmfit_jax.training.loop_options import TrainResult
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import (
    fine_tune_stages,
    gradual_unfreezing_stages,
    language_model_stages,
    pretrain_stages,
)
from ulmfit_jax.training.runs import (
    ClassifierSettings,
    LanguageModelSettings,
    RunContext,
    train_classifier,
    train_language_model,
    validation_stream,
)
from ulmfit_jax.training.scaling import fine_tuning_rate, language_model_epochs
from ulmfit_jax.training.stages import Stage


def table(stages: list[Stage], groups: Any) -> list[tuple[Any, ...]]:
    """Epochs, trained groups, lowest and highest rate of them, weight decay."""
    rows = []
    for stage in stages:
        trained = len(freeze_to(groups, stage.freeze_to))
        rates = discriminative_rates(stage.learning_rate, len(groups))
        rows.append(
            (stage.epochs, trained, pytest.approx(rates[-trained]), pytest.approx(rates[-1]), stage.weight_decay)
        )
    return rows


def test_the_notebook_s_language_model() -> None:
    stages = language_model_stages()
    assert table(stages, LANGUAGE_MODEL_GROUPS) == [(1, 1, 1e-2, 1e-2, 0.1), (10, 4, 1e-3, 1e-3, 0.1)]
    assert freeze_to(LANGUAGE_MODEL_GROUPS, stages[0].freeze_to) == {"embedding_decoder"}


def test_the_rate_of_fine_tuning_falls_from_the_paper_s_to_the_notebook_s() -> None:
    assert [fine_tuning_rate(epochs) for epochs in (0, 1, 2)] == [4e-3] * 3
    rates = [fine_tuning_rate(epochs) for epochs in range(2, 11)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[3], rates[-1]) == (2e-3, 1e-3)


def test_little_text_is_read_several_times_and_much_once() -> None:
    tokens = (1, 300_000, 600_000, 1_000_000, 1_500_000, 2_100_000, 27_000_000)
    assert [language_model_epochs(count) for count in tokens] == [5, 5, 5, 3, 2, 1, 1]
    assert [language_model_epochs(count, from_scratch=True) for count in tokens] == [10, 10, 5, 3, 2, 1, 1]


def test_the_notebook_s_classifier() -> None:
    assert table(gradual_unfreezing_stages(), CLASSIFIER_GROUPS) == [
        (1, 1, 2e-2, 2e-2, 0.01),
        (1, 2, 1e-2 / 2.6, 1e-2, 0.01),
        (1, 3, 5e-3 / 2.6**2, 5e-3, 0.01),
        (2, 5, 1e-3 / 2.6**4, 1e-3, 0.01),
    ]


def test_fastai_s_fine_tune() -> None:
    stages = fine_tune_stages(4)
    assert table(stages, CLASSIFIER_GROUPS) == [(1, 1, 2e-3, 2e-3, 0.01), (4, 5, 1e-5, 1e-3, 0.01)]
    assert [(stage.pct_start, stage.div) for stage in stages] == [(0.99, 25.0), (0.3, 5.0)]
    assert discriminative_rates(stages[0].learning_rate, 5)[0] == pytest.approx(2e-4)
    assert [stage.name for stage in fine_tune_stages(4, frozen_epochs=0)] == ["all layers"]


def test_the_spread_over_the_layers_can_be_chosen() -> None:
    unfreezing, fine_tune = gradual_unfreezing_stages(lr_mult=4.0), fine_tune_stages(4, lr_mult=2.0)
    assert [stage.learning_rate for stage in unfreezing] == [2e-2, (2.5e-3, 1e-2), (1.25e-3, 5e-3), (2.5e-4, 1e-3)]
    assert [stage.learning_rate for stage in fine_tune] == [(None, 2e-3), (5e-4, 1e-3)]


@pytest.mark.parametrize(
    ("chosen", "stages"),
    [
        ({}, [(1, None, 1.6e-2), (2, 4e-3, 8e-3)]),
        ({"documents": 480}, [(2, None, 1.6e-2), (4, 4e-3, 8e-3)]),
        ({"epochs": 4}, [(1, None, 1.6e-2), (4, 4e-3, 8e-3)]),
        ({"epochs": (0, 3), "learning_rate": 1e-3, "lr_mult": 5.0}, [(3, 1e-4, 5e-4)]),
    ],
)
def test_a_text_classifier_s_fine_tune(chosen: dict[str, Any], stages: list[tuple[Any, ...]]) -> None:
    count = chosen.pop("documents", 25_000)
    data = TextDataset([f"text {number}" for number in range(count)], ["a", "b"] * (count // 2), "made up")
    options = TextClassifier(recipe="fine_tune", validation_fraction=0.0, **chosen).options
    planned = planned_configuration(3, False, data, ["a", "b"], options)["stages"]
    assert [(stage["epochs"], *stage["learning_rate"]) for stage in planned] == stages


def test_all_stages_cycle_rate_and_momentum_as_fastai_does_for_text() -> None:
    for stage in [*language_model_stages(), *gradual_unfreezing_stages(), *pretrain_stages()]:
        rate, momentum = stage.shape(100), stage.momentum(100)
        assert (stage.schedule, stage.momentums) == ("one_cycle", (0.8, 0.7, 0.8))
        assert [rate(0), rate(25)] == pytest.approx([1 / 25, 1])
        assert rate(99) < 1e-3
        assert [momentum(0), momentum(25)] == pytest.approx([0.8, 0.7])
        assert momentum(99) == pytest.approx(0.8, abs=1e-3)


def test_stages_without_epochs_are_left_out() -> None:
    assert [stage.name for stage in language_model_stages(epochs=3, frozen_epochs=0)] == ["lm"]
    assert [stage.freeze_to for stage in gradual_unfreezing_stages(epochs=(1, 0, 0, 2))] == [-1, 0]


def test_settings_are_fastai_s() -> None:
    language_model, classifier = LanguageModelSettings(), ClassifierSettings()
    assert (language_model.batch_size, language_model.bptt, language_model.drop_mult) == (64, 72, 1.0)
    assert (classifier.batch_size, classifier.bptt, classifier.drop_mult, classifier.max_length) == (64, 72, 0.5, 1440)
    for settings in (language_model, classifier):
        assert (settings.activation_penalty, settings.temporal_penalty) == (2.0, 1.0)


def test_impossible_stages_are_named() -> None:
    with pytest.raises(ConfigError, match="stage x: 0 epochs"):
        Stage("x", 0, 0.1)
    with pytest.raises(ConfigError, match="stage x: no schedule 'cosine', choose one of one_cycle"):
        Stage("x", 1, 0.1, schedule="cosine")


CONTEXT = RunContext(Devices(1))
CORPUS, LABELS = documents(40, 2 * BPTT)


@pytest.fixture(scope="module")
def encoder() -> Tree:
    definition: ModuleDefinition = language_model_definition(SIZES)
    return definition.initialise(1)[0]["encoder"]


def test_a_language_model_is_trained_from_the_given_parameters_and_leaves_them(encoder: Tree) -> None:
    parameters = {"encoder": encoder, "decoder": {"bias": np.zeros(24, np.float32)}}
    before = jax.tree.map(np.array, parameters)
    settings, corpus = LanguageModelSettings(batch_size=8, bptt=BPTT), stream_corpus()
    results = [
        train_language_model(SIZES, start, corpus, corpus, [CLIPPED], settings, 0, CONTEXT)
        for start in (parameters, None)
    ]
    jax.tree.map(np.testing.assert_array_equal, parameters, before)
    assert results[0].history[0]["train_loss"] != results[1].history[0]["train_loss"]
    assert set(results[0].history[0]) >= {"valid_loss", "accuracy", "perplexity"}


def test_a_classifier_is_trained_from_the_given_encoder_and_leaves_it(encoder: Tree) -> None:
    before = jax.tree.map(np.array, encoder)
    settings = ClassifierSettings(batch_size=8, bptt=BPTT)
    stages = gradual_unfreezing_stages(epochs=(1, 0, 0, 0))
    data = (CORPUS, LABELS)
    result = train_classifier(SIZES, Head(2, (6,)), {"encoder": encoder}, data, data, stages, settings, 0, CONTEXT)
    jax.tree.map(np.testing.assert_array_equal, encoder, before)
    jax.tree.map(np.testing.assert_array_equal, result.parameters["encoder"], before)
    assert set(result.history[0]) >= {"valid_loss", "error_rate"}


@pytest.mark.slow
def test_a_trained_classifier_goes_on_from_all_of_its_parameters_and_statistics(encoder: Tree) -> None:
    data = (CORPUS, LABELS)
    settings = ClassifierSettings(batch_size=8, bptt=BPTT)

    def train(start: Tree, rate: float, statistics: Tree | None = None) -> TrainResult:
        stages = [Stage("all", 2, rate)]
        return train_classifier(SIZES, Head(2, (6,)), start, data, data, stages, settings, 0, CONTEXT, statistics)

    first = train({"encoder": encoder}, 1e-2)
    second = train(first.parameters, 1e-9, first.statistics)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), second.parameters, first.parameters)
    moved = train(first.parameters, 1e-9, jax.tree.map(lambda array: array + np.float32(100), first.statistics))
    for kept, other in zip(jax.tree.leaves(second.statistics), jax.tree.leaves(moved.statistics), strict=True):
        assert ((other - kept) > 1).all()  # what a few batches leave of the 100


def test_an_encoder_of_other_sizes_is_named(encoder: Tree) -> None:
    wrong = encoder | {"embedding": np.zeros((30, 12), np.float32)}
    data = (CORPUS, LABELS)
    settings = ClassifierSettings(8, BPTT)
    with pytest.raises(ArtifactError, match=r"the encoder: encoder/embedding has the shape \(30, 12\)"):
        train_classifier(SIZES, Head(2), {"encoder": wrong}, data, None, [CLIPPED], settings, 0, CONTEXT)


def test_a_corpus_that_is_too_small_is_named() -> None:
    tiny, _ = documents(1, 5)
    with pytest.raises(DataError, match="too few for a batch of 64 rows"):
        train_language_model(SIZES, None, tiny, None, [CLIPPED], LanguageModelSettings(), 0, CONTEXT)


@pytest.mark.parametrize(
    ("tokens", "devices", "rows"), [(10_000, 1, 64), (100, 1, 12), (100, 4, 12), (9, 4, 4), (7, 4, None)]
)
def test_a_small_validation_corpus_is_read_in_fewer_rows(tokens: int, devices: int, rows: int | None) -> None:
    corpus = documents(1, tokens)[0]
    stream = validation_stream(corpus, LanguageModelSettings(bptt=8), devices)
    assert (stream and stream.batch_size) == rows
