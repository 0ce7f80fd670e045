"""`TextClassifier` from raw texts to a reloaded model, on a tiny network."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import precision_recall_fscore_support

from oracles.documents import document_vector
from reviews import reviews
from ulmfit_jax import ArtifactError, ConfigError, DataError, LanguageModel, TextClassifier, self_training
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.data.lists import label_list
from ulmfit_jax.self_training import drawn_rounds

OPTIONS = {
    "preset": "tiny",
    "lm_epochs": 2,
    "epochs": (1, 0, 0, 10),
    "learning_rate": 0.2,
    "batch_size": 16,
    "devices": 1,
}


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    texts, labels = reviews(300)
    return TextClassifier(None, **OPTIONS).fit(texts, labels, unlabeled=reviews(60, seed=5)[0])


def test_learns_what_the_adjectives_say(trained):
    result = trained.evaluate(*reviews(100, seed=9))
    assert result["accuracy"] > 0.9
    assert result["error"] == pytest.approx(1 - result["accuracy"])
    assert result["n"] == 100
    assert trained.score(*reviews(100, seed=9)) == result["accuracy"]


def test_figures_of_each_class_are_those_of_scikit_learn(trained):
    texts, labels = reviews(60, seed=9)
    labels = ["bad" if number % 7 == 0 else label for number, label in enumerate(labels)]  # some answers are wrong
    result = trained.evaluate(texts, labels)
    answers = trained.predict(texts)
    expected = precision_recall_fscore_support(labels, answers, labels=["bad", "good"])
    for number, name in enumerate(("bad", "good")):
        found = [result["classes"][name][measure] for measure in ("precision", "recall", "f1", "n")]
        assert found == pytest.approx([column[number] for column in expected])
    assert result["macro_f1"] == pytest.approx(expected[2].mean())
    bad = [text for text, label in zip(texts, labels, strict=True) if label == "bad"]
    only = trained.evaluate(bad, ["bad"] * len(bad))
    assert only["classes"]["good"]["recall"] is None
    assert only["classes"]["good"]["n"] == 0


def test_vectors_are_what_the_head_turns_into_probabilities(trained):
    texts = [*reviews(9, seed=3)[0], "one", " ".join(["long"] * 200)]
    vectors = trained.encode(texts)
    sizes = trained.artifact.architecture
    assert (vectors.shape, vectors.dtype) == ((11, 4 * sizes.embedding_size + 2 * sizes.hidden_size), np.float32)
    np.testing.assert_allclose(trained.encode(texts[-1]), vectors[-1:], atol=1e-6)
    assert trained.encode([]).shape == (0, vectors.shape[1])

    head, statistics = trained.artifact.parameters["head"], trained.artifact.statistics["head"]
    hidden = vectors
    for layer in range(2):
        norm, seen = head[f"norm_{layer}"], statistics[f"norm_{layer}"]
        hidden = (hidden - seen["mean"]) / np.sqrt(seen["variance"] + 1e-5) * norm["scale"] + norm["bias"]
        hidden = hidden @ head[f"dense_{layer}"]["kernel"]
        hidden = np.maximum(hidden, 0) if layer == 0 else hidden
    expected = softmax(hidden.astype(np.float64), axis=1)
    np.testing.assert_allclose(trained.predict_proba(texts), expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(trained.predict_log_proba(texts)), expected, atol=1e-5)


@pytest.mark.slow
def test_a_head_without_hidden_layers_that_reads_all_layers(tmp_path):
    texts, labels = reviews(80)
    options = {**OPTIONS, "lm_epochs": 0, "epochs": (3, 0, 0, 1), "cache_frozen": True, "hidden": ()}
    model = TextClassifier(None, **options).fit(texts, labels)
    sizes, dense = model.artifact.architecture, model.artifact.parameters["head"]["dense_0"]["kernel"]
    assert dense.shape == (4 * sizes.embedding_size + 2 * sizes.hidden_size, 2)
    vectors = model.encode(texts[:5])
    ids = model.artifact.tokenizer.encode(texts[0])
    expected = document_vector(model.artifact.parameters["encoder"], ids, 72, all_layers=True)
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model", devices=1)
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))
    assert loaded.artifact.head.pool_layers == "all"
    plain = TextClassifier(None, **options, pool_layers="last").fit(texts, labels)
    assert plain.encode(texts[:5]).shape == (5, 3 * sizes.embedding_size)


def test_the_history_has_every_epoch_of_every_stage(trained):
    stages = [row["stage"] for row in trained.history_]
    assert stages == ["pretrain"] * 2 + ["head"] + ["all layers"] * 10
    assert {"train_loss", "valid_loss", "perplexity", "seconds"} <= trained.history_[0].keys()
    assert {"train_loss", "valid_loss", "error_rate", "seconds"} <= trained.history_[-1].keys()
    assert set(trained.seconds_) == {"language_model", "classifier"}


@pytest.mark.slow
def test_self_training_goes_on_with_texts_that_the_classifier_labels(tmp_path, monkeypatch):
    texts, labels = reviews(120)
    more = reviews(200, seed=5)[0]
    options = {**OPTIONS, "lm_epochs": 1, "epochs": (1, 0, 0, 1), "self_training": (100, 60)}
    model = TextClassifier(None, **options)
    model.fit(texts, labels, unlabeled=more, run_dir=tmp_path)
    stages = [row["stage"] for row in model.history_]
    assert stages[1:] == ["head", "all layers"] + ["self-training"] * 8
    card = model.artifact.provenance
    assert card["stages"] == ["head, 1 epoch", "all layers, 1 epoch", *["self-training, 4 epochs"] * 2]
    assert card["training"]["pseudo_labelled_documents"] == 160
    assert "stages" in card["language_model"]
    assert set(model.seconds_) == {"language_model", "classifier", "self_training", "self_training_2"}
    first = TextClassifier(None, **{**options, "self_training": 0})
    first.fit(texts, labels, unlabeled=more, run_dir=tmp_path)
    assert not np.allclose(first.predict_proba(more), model.predict_proba(more), atol=1e-3)
    again = TextClassifier(None, **options)
    monkeypatch.setattr(self_training, "joint_labels", None)  # the labels are kept
    again.fit(texts, labels, unlabeled=more, run_dir=tmp_path)
    np.testing.assert_array_equal(again.predict_proba(more), model.predict_proba(more))


def test_rounds_of_self_training_share_no_text():
    texts = [f"text {number}" for number in range(50)]
    first, second = drawn_rounds(texts, (30, 15), 0)
    assert (len(set(first)), len(set(second)), len({*first, *second})) == (30, 15, 45)
    assert first == sorted(first, key=texts.index)
    assert drawn_rounds(texts, (30,), 0) == [first]
    assert drawn_rounds(texts, (80,), 0) == [texts]
    assert drawn_rounds(texts, (80,), 0, texts[:30]) == [texts[30:]]
    with pytest.raises(ConfigError, match="asks for 30 \\+ 21 texts, but there are 50"):
        drawn_rounds(texts, (30, 21), 0)


def test_self_training_needs_texts_without_labels():
    with pytest.raises(ConfigError, match="stand among the labelled ones too"):
        TextClassifier(None, **OPTIONS, self_training=100).fit(*reviews(120), unlabeled=reviews(50)[0])
    with pytest.raises(ConfigError, match="unlabeled"):
        TextClassifier(None, **OPTIONS, self_training=100).fit(*reviews(120))
    with pytest.raises(ConfigError, match="self_training is -1"):
        TextClassifier(None, **OPTIONS, self_training=-1).fit(*reviews(120), unlabeled=reviews(60, seed=5)[0])
    with pytest.raises(ConfigError, match="it counts the texts of each round"):
        TextClassifier(None, **OPTIONS, self_training=(50, 0)).fit(*reviews(120), unlabeled=reviews(60, seed=5)[0])


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), " "])
def test_a_missing_label_is_refused(missing):
    with pytest.raises(DataError, match="label 1 is missing"):
        TextClassifier(None, **OPTIONS).fit(["one", "two", "three"], ["good", missing, "bad"])


def test_numbers_are_labels_as_in_files(trained):
    assert label_list([1, 2.0, np.int64(3), np.float64(4), True, " five "]) == ["1", "2", "3", "4", "True", "five"]
    with pytest.raises(DataError, match="label 1 is missing"):
        trained.evaluate(["one", "two"], ["good", None])


def test_probabilities_are_probabilities_with_names(trained):
    probabilities = trained.predict_proba(["The kettle was lovely.", "", "broken " * 400])
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert trained.classes_.tolist() == ["bad", "good"]
    assert trained.predict(["The bus was gloomy."]).tolist() == ["bad"]
    assert trained.predict("The bus was gloomy.") == "bad"
    assert trained.predict_proba([]).shape == (0, 2)


def test_an_answer_does_not_depend_on_its_neighbours(trained):
    texts = [text * (1 + number % 7 * 8) for number, text in enumerate(reviews(23, seed=3)[0])]
    together = trained.predict_proba(texts)
    alone = np.concatenate([trained.predict_proba([text]) for text in texts])
    shuffled = trained.predict_proba(texts[::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, shuffled, atol=1e-5)


def test_a_saved_model_gives_the_same_answers_bit_for_bit(trained, tmp_path):
    texts = reviews(20, seed=4)[0]
    trained.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model", devices=1)
    np.testing.assert_array_equal(loaded.predict_proba(texts), trained.predict_proba(texts))
    assert "TextClassifier" in (tmp_path / "model" / "README.md").read_text("utf-8")
    on_four = TextClassifier.load(tmp_path / "model", devices=4)
    np.testing.assert_allclose(on_four.predict_proba(texts), trained.predict_proba(texts), atol=1e-6)


def test_answers_in_bfloat16_only_where_that_is_asked_for(trained, tmp_path):
    trained.save(tmp_path / "model")
    texts = reviews(5, seed=4)[0]
    narrow = TextClassifier.load(tmp_path / "model", precision="bfloat16")
    wide = trained.predict_proba(texts)
    assert 1e-5 < np.abs(narrow.predict_proba(texts) - wide).max() < 0.02
    narrow.predict_precision = "float32"
    np.testing.assert_allclose(narrow.predict_proba(texts), wide, atol=1e-6)
    with pytest.raises(ConfigError, match="precision is 'float64': choose one of float32, bfloat16"):
        TextClassifier.load(tmp_path / "model", precision="float64")
    narrow.predict_precision = "int8"
    with pytest.raises(ConfigError, match="precision is 'int8'"):
        narrow.predict(texts)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_a_finished_run_is_not_run_again(tmp_path):
    texts, labels = reviews(40)
    options = {**OPTIONS, "lm_epochs": 1, "epochs": (1, 0, 0, 0)}
    first = TextClassifier(None, **options).fit(texts, labels, run_dir=tmp_path)
    again = TextClassifier(None, **options).fit(texts, labels, run_dir=tmp_path)
    np.testing.assert_array_equal(first.predict_proba(texts), again.predict_proba(texts))
    assert [row["seconds"] for row in first.history_] == [row["seconds"] for row in again.history_]
    with pytest.raises(ConfigError, match="seed = 0, but 1 is asked for"):
        TextClassifier(None, **options, seed=1).fit(texts, labels, run_dir=tmp_path)


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return LanguageModel(preset="tiny", epochs=1, devices=1).fit(reviews(40)[0])


@pytest.mark.slow
def test_an_encoder_is_enough_and_needs_no_language_model_stage(language_model, tmp_path, caplog):
    texts, labels = reviews(40)
    language_model.save_encoder(tmp_path / "encoder")
    model = TextClassifier(tmp_path / "encoder", epochs=(1, 0, 0, 0), batch_size=16, devices=1).fit(texts, labels)
    assert [row["stage"] for row in model.history_] == ["head"]
    with caplog.at_level(logging.WARNING):
        model.fit(texts, labels, unlabeled=["one more"])
    assert "unlabeled is not read" in caplog.text
    with pytest.raises(ConfigError, match="encoder alone"):
        TextClassifier(tmp_path / "encoder", lm_epochs=2).fit(texts, labels)


@pytest.mark.slow
def test_pandas_columns_and_numbers_as_labels():
    texts, labels = reviews(40)
    frame = pd.DataFrame({"text": texts, "label": [int(label == "good") for label in labels]})
    model = TextClassifier(None, **{**OPTIONS, "lm_epochs": 0, "epochs": 1}, recipe="fine_tune")
    model.fit(frame["text"], frame["label"])
    assert model.classes_.tolist() == [0, 1]
    assert model.class_names == ("0", "1")
    assert [row["stage"] for row in model.history_] == ["head", "all layers"]
    model.fit(texts, map(int, frame["label"]))
    assert model.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("texts", "labels", "sentence"),
    [
        (["a b", "c d"], ["x", "x"], "only the class 'x'"),
        (["a b", "c d"], ["x"], "2 texts and 1 label;"),
        ("a text", ["x"], "give a list of texts"),
        (["a b", 3], ["x", "y"], r"texts\[1\] is 3, not a string"),
        ({"text": ["a b"]}, ["x"], "texts is a dict: give one column"),
        (pd.DataFrame({"text": ["a b", "c d"]}), ["x", "y"], "texts is a DataFrame: give one column"),
        (["a b", "c d"], ["x", "y"], "none can be held out to measure on"),
    ],
)
def test_bad_data_is_named(texts, labels, sentence):
    with pytest.raises(DataError, match=sentence):
        TextClassifier(None, preset="tiny", lm_epochs=0, devices=1).fit(texts, labels)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"lm_learning_rate": float("inf")},
        {"batch_size": -8},
        {"lm_batch_size": 0},
        {"max_length": 0},
        {"bptt": 0},
        {"patience": 0},
        {"lm_epochs": -1},
        {"weight_decay": float("nan")},
        {"skip_nonfinite": -1},
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_read(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{name} is {value}: it is a finite number"):
        TextClassifier("nonesuch", **wrong).fit(["a text"], ["one"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batch_size": 16.0}, "batch_size is 16.0: it is a whole number"),
        ({"lm_epochs": 1.5}, "lm_epochs is 1.5: it is a whole number"),
        ({"epochs": (1, 2.5), "recipe": "fine_tune"}, "epochs is 2.5: it is a whole number"),
        ({"batch_size": (16,)}, r"batch_size is \(16,\): it is a whole number"),
        ({"seed": None}, "seed is None: it is a whole number from 0"),
        ({"seed": 2**32}, "seed is 4294967296: it is a whole number from 0 to 4294967295"),
        ({"recipe": "linear_probe", "hidden": (100,)}, r"hidden is \(100,\): linear_probe's head has no hidden layers"),
        ({"recipe": "linear_probe", "weight_decay": 0.1}, "weight_decay is 0.1: linear_probe fits a head at once"),
    ],
)
def test_what_does_not_count_or_fit_is_refused_before_anything_is_read(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        TextClassifier("nonesuch", **wrong).fit(["a text"], ["one"])


def test_numbers_of_numpy_count():
    options = TextClassifier(recipe="fine_tune", epochs=np.int64(4), batch_size=np.int32(16), seed=np.uint8(3)).options
    assert [type(value) for value in (options.epochs, options.batch_size, options.seed)] == [int] * 3
    assert (options.epochs, options.batch_size, options.seed) == (4, 16, 3)


def test_the_card_tells_of_the_epoch_that_is_kept():
    options = {
        **OPTIONS,
        "lm_epochs": 0,
        "epochs": (0, 0, 0, 12),
        "learning_rate": 5.0,
        "keep_best": True,
        "patience": 2,
    }
    model = TextClassifier(None, **options).fit(*reviews(60))
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 < 11  # it got no better and ended
    card = model.artifact.provenance
    assert card["best_epoch"]["valid_loss"] == losses[best]
    assert (card["best_epoch"]["stage"], card["best_epoch"]["epoch"]) == ("all layers", best)
    assert "last_epoch" not in card
    assert card["stages"] == [f"all layers, {len(losses)} epochs"]


@pytest.mark.slow
def test_batches_divide_over_any_number_of_devices_or_are_refused_at_once():
    texts, labels = reviews(60)
    options = {**OPTIONS, "lm_epochs": 1, "epochs": (1, 0, 0, 0), "devices": 3, "batch_size": None}
    model = TextClassifier(None, **options).fit(texts, labels)
    assert model.artifact.provenance["training"]["batch_size"] == 18  # 16 texts, by their number
    for name in ("batch_size", "lm_batch_size"):
        with pytest.raises(ConfigError, match=f"^{name} 8 does not divide over 3 devices: choose a multiple of 3"):
            TextClassifier("nonesuch", **{**options, "preset": None, name: 8}).fit(texts, labels)


def test_bad_options_are_named(trained):
    texts, labels = reviews(40)
    with pytest.raises(ArtifactError, match="not trained yet"):
        TextClassifier().predict(["a"])
    with pytest.raises(ArtifactError, match="no model 'nonesuch'"):
        TextClassifier("nonesuch").fit(texts, labels)
    with pytest.raises(ConfigError, match="preset is only for pretrained=None"):
        TextClassifier(preset="tiny").fit(texts, labels)
    with pytest.raises(ConfigError, match="four numbers"):
        TextClassifier(None, preset="tiny", lm_epochs=0, epochs=(1, 2)).fit(texts, labels)
    with pytest.raises(ConfigError, match="epochs is 0: gradual unfreezing takes"):
        TextClassifier(None, preset="tiny", lm_epochs=0, epochs=0).fit(texts, labels)
    with pytest.raises(ConfigError, match=r"epochs is \(1, 0\): fine_tune takes one number, such as 4, or two"):
        TextClassifier(None, preset="tiny", lm_epochs=0, recipe="fine_tune", epochs=(1, 0)).fit(texts, labels)
    with pytest.raises(ConfigError, match=r"lr_mult is 0\.5: the head's rate is at least once"):
        TextClassifier(lr_mult=0.5).fit(texts, labels)
    for smoothing in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"label_smoothing is .*: it is at least 0 and below 1"):
            TextClassifier(label_smoothing=smoothing).fit(texts, labels)
    with pytest.raises(ConfigError, match=r"adversarial acts where all layers train, but of the epochs \(1, 0, 0, 0\)"):
        TextClassifier(None, preset="tiny", lm_epochs=0, adversarial=0.2, epochs=(1, 0, 0, 0)).fit(texts, labels)
    for reach in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"adversarial is .*: it is a finite number, 0 or more"):
            TextClassifier(adversarial=reach).fit(texts, labels)
    with pytest.raises(ConfigError, match="pool_layers is 'first': choose one of last, all"):
        TextClassifier(pool_layers="first").fit(texts, labels)
    with pytest.raises(ConfigError, match=r"hidden is 50: give the size of each hidden layer, such as \(50,\)"):
        TextClassifier(hidden=50).fit(texts, labels)
    with pytest.raises(DataError, match="'superb', which the model does not know"):
        trained.evaluate(["fine"], ["superb"])
    with pytest.raises(ConfigError, match="99 devices are asked for"):
        TextClassifier(None, **{**OPTIONS, "devices": 99, "lm_epochs": 0}).fit(texts, labels)


def test_importing_the_package_is_light():
    heavy = "tensorflow_datasets tensorflow spacy pandas torch sklearn jax"
    script = f"import sys, ulmfit_jax; print([m for m in {heavy.split()!r} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
    script = script.replace("import sys, ulmfit_jax", "import sys; from ulmfit_jax import TextClassifier")
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['jax']"


def test_a_run_folder_belongs_to_the_weights_that_the_run_started_from(language_model, tmp_path):
    texts, labels = reviews(40)
    first = language_model.artifact
    other = replace(first, parameters=jax.tree.map(lambda array: array + np.float32(0.01), first.parameters))
    for number, artifact in enumerate((first, other), 1):
        save_artifact(artifact, tmp_path / f"lm-{number}")
    options = {**OPTIONS, "preset": None, "lm_epochs": 0, "epochs": (1, 0, 0, 0)}
    TextClassifier(tmp_path / "lm-1", **options).fit(texts, labels, run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a run that started from another model: choose"):
        TextClassifier(tmp_path / "lm-2", **options).fit(texts, labels, run_dir=tmp_path / "run")
