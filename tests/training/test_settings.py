"""What is chosen reaches the network, the data and the loop: each option by name, none of them forgotten on its way."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import HEAD, SIZES, documents

from reviews import reviews
from ulmfit_jax import DataError, LanguageModel, TextClassifier, classifier_fit, classifier_parts, language_model_fit
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data import TextDataset
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.split import split_rows
from ulmfit_jax.language_model_plan import LanguageModelOptions, LanguageModelPlan, language_model_plan
from ulmfit_jax.text.rules import SPECIALS
from ulmfit_jax.text.vocabulary import Vocabulary
from ulmfit_jax.text.words import WordTokenizer
from ulmfit_jax.training import runs
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.runs import ClassifierSettings, LanguageModelSettings

OF_CLASSIFIER: dict[str, Any] = {
    "batch_size": 4,
    "bptt": 5,
    "max_length": 30,
    "drop_mult": 0.3,
    "activation_penalty": 0.7,
    "temporal_penalty": 0.6,
    "label_smoothing": 0.1,
    "adversarial": 0.2,
    "class_weights": (1.0, 2.0),
    "backwards": True,
    "precision": "bfloat16",
    "cache_frozen": True,
    "buckets": (2, 4),
    "linear_probe": True,
}
"""Every setting of a classifier, none as it is by default."""

OF_LANGUAGE_MODEL: dict[str, Any] = {
    "batch_size": 4,
    "bptt": 5,
    "drop_mult": 0.3,
    "activation_penalty": 0.7,
    "temporal_penalty": 0.6,
    "reset_state": True,
    "backwards": True,
    "precision": "bfloat16",
}
"""The same of a language model."""


class Stopped(Exception):
    """What a `Recorder` raises in the place of training."""


class Recorder:
    """Keeps what it is called with; then, as there is nothing to return, ends the call."""

    def __init__(self) -> None:
        self.given: tuple[Any, ...] = ()
        self.named: dict[str, Any] = {}

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.given, self.named = given, named
        raise Stopped


@pytest.mark.parametrize(
    ("kind", "changed"), [(ClassifierSettings, OF_CLASSIFIER), (LanguageModelSettings, OF_LANGUAGE_MODEL)]
)
def test_every_setting_is_looked_at(kind: type, changed: dict[str, Any]) -> None:
    defaults = {field.name: field.default for field in fields(kind)}
    assert changed.keys() == defaults.keys()
    assert all(value != defaults[name] for name, value in changed.items())


@pytest.mark.parametrize("is_probe", [False, True])
def test_a_classifier_s_settings_reach_its_task(is_probe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Recorder()
    monkeypatch.setattr(runs, "LinearProbeTask" if is_probe else "ClassifierTask", task)
    settings = ClassifierSettings(**{**OF_CLASSIFIER, "linear_probe": is_probe})
    data = documents(12, 30)
    with pytest.raises(Stopped):
        runs.classifier_task(SIZES, HEAD, data, data, settings, 7, Devices(1), fresh_statistics=False)
    sizes, head, train, valid, _ = task.given
    assert (sizes, head) == (SIZES, HEAD)
    for batches in (train, valid):
        found = (batches.batch_size, batches.bptt, batches.backwards, batches.seed, batches.buckets[:2])
        assert found == (4, 5, True, 7, (2, 4))
    elsewhere = ("batch_size", "bptt", "backwards", "buckets", "precision", "linear_probe")
    expected = {name: value for name, value in OF_CLASSIFIER.items() if name not in elsewhere}
    assert task.named == {**expected, "dtype": jnp.dtype("bfloat16"), "fresh_statistics": False}


def test_a_language_model_s_settings_reach_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Recorder()
    monkeypatch.setattr(runs, "LanguageModelTask", task)
    corpus = documents(40, 30)[0]
    with pytest.raises(Stopped):
        runs.language_model_task(SIZES, corpus, corpus, LanguageModelSettings(**OF_LANGUAGE_MODEL), 7, Devices(1))
    sizes, train, valid, _ = task.given
    assert sizes == SIZES
    for stream, shuffled, seed in ((train, True, 7), (valid, False, 0)):
        found = (stream.batch_size, stream.bptt, stream.backwards, stream.shuffle, stream.seed)
        assert found == (4, 5, True, shuffled, seed)
    expected = {name: OF_LANGUAGE_MODEL[name] for name in ("drop_mult", "activation_penalty", "temporal_penalty")}
    assert task.named == {**expected, "reset_state": True, "dtype": jnp.dtype("bfloat16")}


def test_a_classifier_s_options_reach_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Recorder()
    monkeypatch.setattr(classifier_fit, "train_classifier", training)
    chosen: dict[str, Any] = {name: OF_CLASSIFIER[name] for name in ("bptt", "max_length", "batch_size", "drop_mult")}
    chosen |= {"label_smoothing": 0.1, "adversarial": 0.2, "precision": "bfloat16", "cache_frozen": True, "seed": 7}
    chosen |= {"epochs": (1, 2, 3, 4), "learning_rate": 0.04, "lr_mult": 8.0, "weight_decay": 0.02, "hidden": (9, 7)}
    chosen |= {"pool_layers": "last", "class_weight": {"good": 2.0}, "keep_best": True, "patience": 3}
    chosen |= {"skip_nonfinite": 5, "validation_fraction": 0.25}
    texts, labels = reviews(40)
    with pytest.raises(Stopped):
        TextClassifier(None, "tiny", lm_epochs=0, devices=1, **chosen).fit(texts, labels)
    _, head, _, train, valid, stages, settings, seed, context, _ = training.given
    assert (head.hidden, head.pool_layers, seed) == ((9, 7), "last", 7)
    assert (len(train[1]), len(valid[1])) == (30, 10)
    expected = {name: value for name, value in OF_CLASSIFIER.items() if name in chosen}
    assert {name: getattr(settings, name) for name in expected} == expected
    assert settings.class_weights == (1.0, 2.0)
    assert (settings.backwards, settings.linear_probe) == (False, False)
    assert [stage.epochs for stage in stages] == [1, 2, 3, 4]
    assert [stage.weight_decay for stage in stages] == [0.02] * 4
    assert stages[-1].learning_rate == pytest.approx((0.04 / 20 / 8, 0.04 / 20))
    assert context.options == LoopOptions(keep_best=True, patience=3, skip_nonfinite=5)


def test_a_language_model_s_options_reach_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Recorder()
    monkeypatch.setattr(language_model_fit, "train_language_model", training)
    chosen: dict[str, Any] = {**OF_LANGUAGE_MODEL, "reset_state": False}
    model = LanguageModel(None, "tiny", epochs=3, learning_rate=0.02, skip_nonfinite=5, seed=7, devices=1, **chosen)
    with pytest.raises(Stopped):
        model.fit(reviews(60)[0])
    _, parameters, _, _, stages, settings, seed, context = training.given
    assert (parameters, seed) == (None, 7)
    assert vars(settings) == chosen
    assert [(stage.epochs, stage.learning_rate) for stage in stages] == [(3, 0.02)]
    assert context.options == LoopOptions(skip_nonfinite=5)


def plan(count: int, **chosen: Any) -> LanguageModelPlan:
    start = Artifact("language_model", SIZES, WordTokenizer(Vocabulary(SPECIALS)), {})
    return language_model_plan(start, documents(count, 20)[0], None, LanguageModelOptions(devices=1, **chosen))


def test_text_that_is_read_once_is_read_freely() -> None:
    for epochs, expected in ((1, (0.1, 0.0, 0.0)), (2, (0.5, 2.0, 1.0))):
        settings = plan(60, epochs=epochs).settings
        assert (settings.drop_mult, settings.activation_penalty, settings.temporal_penalty) == expected


def texts_of(corpus: Corpus) -> list[tuple[int, ...]]:
    return [tuple(map(int, document)) for document in corpus]


def test_a_language_model_is_measured_on_documents_that_it_does_not_read() -> None:
    whole, found = texts_of(documents(60, 20)[0]), plan(60, epochs=1)
    assert found.valid is not None
    assert texts_of(found.train) + texts_of(found.valid) == whole
    assert len(found.valid) == 3  # 5 %


def test_self_training_knows_no_text_that_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    labelling = Recorder()
    monkeypatch.setattr(classifier_parts, "pseudo_labelled", labelling)
    texts, labels = reviews(40)
    options: dict[str, Any] = {"lm_epochs": 0, "epochs": (1, 0, 0, 0), "batch_size": 16, "devices": 1}
    model = TextClassifier(None, "tiny", validation_fraction=0.25, self_training=10, **options)
    with pytest.raises(Stopped):
        model.fit(texts, labels, unlabeled=reviews(10, seed=3)[0])
    learnt, held_out = split_rows(TextDataset(texts, labels, "made up"), 0.25, 0)
    assert labelling.given[1].texts == [texts[row] for row in learnt]
    assert len(held_out) == 10
    assert np.intersect1d(learnt, held_out).size == 0


def test_texts_of_ones_own_measure_and_nothing_learns_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read, training = Recorder(), Recorder()
    texts, labels = reviews(40)
    measured, theirs = reviews(10, seed=4)
    model = TextClassifier(None, "tiny", class_weight="balanced", devices=1, batch_size=8)
    with monkeypatch.context() as patch:
        patch.setattr(classifier_parts, "fine_tuned_language_model", read)
        with pytest.raises(Stopped):
            model.fit(texts, labels, ["more", measured[3]], valid_texts=measured, valid_labels=theirs)
    assert read.given[1] == [*texts, "more"]
    monkeypatch.setattr(classifier_fit, "train_classifier", training)
    model.set_params(lm_epochs=0)
    theirs = ["good"] * 10  # other shares than among those that are learnt from
    with pytest.raises(Stopped):
        model.fit(texts, labels, valid_texts=np.array(measured), valid_labels=np.array(theirs))
    _, _, _, train, valid, _, settings, *_ = training.given
    assert (len(train[1]), len(valid[1]), set(valid[1])) == (40, 10, {1})
    assert settings.class_weights == (1.0, 1.0)
    for given in ({"valid_texts": measured}, {"valid_labels": theirs}):
        with pytest.raises(DataError, match="give both, or neither"):
            model.fit(texts, labels, **given)


def test_a_classifier_s_options_reach_its_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Recorder()
    monkeypatch.setattr(language_model_fit, "train_language_model", training)
    chosen: dict[str, Any] = {"lm_epochs": 3, "lm_learning_rate": 0.02, "lm_drop_mult": 0.3, "lm_batch_size": 4}
    chosen |= {"bptt": 5, "precision": "bfloat16", "skip_nonfinite": 5, "seed": 7}
    texts, labels = reviews(60)
    with pytest.raises(Stopped):
        TextClassifier(None, "tiny", batch_size=8, learning_rate=0.1, drop_mult=0.9, devices=1, **chosen).fit(
            texts, labels
        )
    _, _, _, _, stages, settings, seed, context = training.given
    assert (settings.batch_size, settings.drop_mult, settings.bptt, settings.precision) == (4, 0.3, 5, "bfloat16")
    assert [(stage.epochs, stage.learning_rate) for stage in stages] == [(3, 0.02)]
    assert (context.options, seed) == (LoopOptions(skip_nonfinite=5), 7)


@pytest.mark.parametrize(
    ("recipe", "epochs"), [("gradual_unfreezing", [1, 1, 1, 3]), ("fine_tune", [1, 3])], ids=lambda value: str(value)
)
def test_one_number_of_epochs_is_that_of_the_last_stage(
    recipe: str, epochs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Recorder()
    monkeypatch.setattr(classifier_fit, "train_classifier", training)
    with pytest.raises(Stopped):
        TextClassifier(None, "tiny", recipe=recipe, lm_epochs=0, epochs=3, devices=1).fit(*reviews(40))
    assert [stage.epochs for stage in training.given[5]] == epochs
