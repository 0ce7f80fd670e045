"""`LanguageModel`: training from scratch, fine-tuning, generation, measures, saving, on a tiny network."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from oracles.documents import document_vector
from reviews import reviews
from ulmfit_jax import ArtifactError, ConfigError, DataError, LanguageModel, TextClassifier
from ulmfit_jax.data import texts_fingerprint
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.text.rules import UNK_ID


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(preset="tiny", epochs=6, devices=1, seed=1).fit(reviews(300)[0])


def test_perplexity_falls_far_below_the_size_of_the_vocabulary(model):
    perplexity = model.perplexity(reviews(50, seed=2)[0])
    assert perplexity < len(model.tokenizer.vocabulary) / 3
    assert model.history[-1]["perplexity"] == pytest.approx(perplexity, rel=0.5)
    assert model.perplexity("xylophone quixotic zephyr") > perplexity


def test_generation_is_decided_by_its_seed_and_as_long_as_asked_for(model):
    text = model.generate("The kettle", n_words=12, temperature=0.7, seed=3)
    assert text == model.generate("The kettle", n_words=12, temperature=0.7, seed=3)
    assert text != model.generate("The kettle", n_words=12, temperature=0.7, seed=4)
    assert text.startswith("The kettle")
    assert 8 <= len(text.split()) <= 14
    greedy = [model.generate("The bus", n_words=8, temperature=0.7, min_p=0.99, seed=seed) for seed in (0, 1)]
    assert greedy[0] == greedy[1]


def test_several_prompts_are_continued_as_each_alone(model):
    prompts = ["The kettle", "", "The bus was late and"]
    together = model.generate(prompts, n_words=7, seed=3)
    assert together == [model.generate(prompt, n_words=7, seed=3 + row) for row, prompt in enumerate(prompts)]
    assert model.generate([], n_words=7) == []


def test_generation_keeps_to_its_limits(model):
    greedy = model.generate("The bus", n_words=8, min_p=0.99)
    assert model.generate("The bus", n_words=8, top_k=1) == greedy
    assert model.generate("The bus", n_words=8, top_p=1e-6) == greedy
    assert model.generate("The bus", n_words=8, top_k=10**6, top_p=1.0, seed=5) == model.generate(
        "The bus", n_words=8, seed=5
    )
    whole = model.generate("The bus", n_words=8, seed=5)
    word = whole.split()[4]
    begin = whole.index(word, len("The bus"))
    assert model.generate("The bus", n_words=8, seed=5, stop=[word]) == whole[:begin]
    assert model.generate("The bus", n_words=8, seed=5, stop="never said") == whole


def test_a_saved_language_model_is_the_same_and_can_be_fine_tuned(model, tmp_path):
    model.save(tmp_path / "lm")
    loaded = LanguageModel.load(tmp_path / "lm")
    for path, array in flatten(model.parameters).items():
        np.testing.assert_array_equal(flatten(loaded.parameters)[path], array)
    assert loaded.generate("The", n_words=6, seed=1) == model.generate("The", n_words=6, seed=1)
    tuned = LanguageModel(tmp_path / "lm", epochs=1, devices=1).fit(reviews(60, seed=8)[0])
    assert [row["stage"] for row in tuned.history] == ["lm"]
    assert tuned.tokenizer.fingerprint() == model.tokenizer.fingerprint()
    assert not np.array_equal(tuned.parameters["decoder"]["bias"], model.parameters["decoder"]["bias"])


@pytest.mark.slow
def test_a_word_model_moves_to_the_words_of_new_texts(tmp_path, caplog):
    old_texts = reviews(80)[0]
    old = LanguageModel(preset="tiny", tokenizer="words", epochs=1, devices=1).fit(old_texts)
    old.save(tmp_path / "words")
    new_texts = [text.replace("kettle", "samovar") for text in old_texts]
    new = LanguageModel(tmp_path / "words", epochs=1, frozen_epochs=1, devices=1)
    with caplog.at_level("INFO"):
        start = new.starting_point(new_texts)
    assert "1 new tokens" in caplog.text
    mean = old.parameters["encoder"]["embedding"].mean(axis=0)
    row = start.tokenizer.vocabulary.index("samovar")
    np.testing.assert_allclose(start.parameters["encoder"]["embedding"][row], mean, rtol=1e-5, atol=1e-8)
    assert "1 new tokens" in start.provenance["vocabulary"]
    new.fit(new_texts)
    assert [row["stage"] for row in new.history] == ["lm frozen", "lm"]


@pytest.mark.slow
def test_a_word_model_that_is_not_fine_tuned_keeps_its_words(tmp_path):
    texts, labels = reviews(80)
    LanguageModel(preset="tiny", tokenizer="words", epochs=1, devices=1).fit(texts).save(tmp_path / "words")
    few = [text for text in texts if "kettle" not in text]
    kept = [label for text, label in zip(texts, labels, strict=True) if "kettle" not in text]
    options = {"lm_epochs": 0, "epochs": (1, 0, 0, 0), "batch_size": 16, "devices": 1}
    model = TextClassifier(tmp_path / "words", **options).fit(few, kept)
    start = LanguageModel(tmp_path / "words").artifact
    assert model.artifact.tokenizer.fingerprint() == start.tokenizer.fingerprint()
    assert model.artifact.tokenizer.vocabulary.index("kettle") > 8
    np.testing.assert_array_equal(
        model.artifact.parameters["encoder"]["embedding"], start.parameters["encoder"]["embedding"]
    )


@pytest.mark.slow
def test_other_texts_to_measure_on_are_another_run(tmp_path):
    texts, others = reviews(60)[0], reviews(20, seed=4)[0]
    options = {"preset": "tiny", "epochs": 1, "batch_size": 8, "devices": 1}
    LanguageModel(**options).fit(texts, others, run_dir=tmp_path)
    again = LanguageModel(**options).fit(texts, others, run_dir=tmp_path)
    assert len(again.history) == 1
    once = flatten(again.parameters)
    again.fit(texts, others)  # starts anew, not from what was learnt
    assert all(np.array_equal(array, once[name]) for name, array in flatten(again.parameters).items())
    with pytest.raises(ConfigError, match="holds a run measured on other texts"):
        LanguageModel(**options).fit(texts, others[1:], run_dir=tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"batch_size": 0},
        {"bptt": -1},
        {"epochs": -1},
        {"temporal_penalty": -1.0},
    ],
)
def test_numbers_out_of_range_are_refused_at_once(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{name} is {value}: it is a finite number"):
        LanguageModel(preset="tiny", **wrong)


@pytest.mark.slow
def test_a_backward_model_reads_from_the_end_and_makes_a_backward_classifier(tmp_path):
    texts, labels = reviews(60)
    backward = LanguageModel(preset="tiny", backwards=True, epochs=1, devices=1).fit(texts)
    assert backward.artifact.backwards
    with pytest.raises(ConfigError, match="reads backwards"):
        backward.generate("The")
    classifier = TextClassifier(backward, lm_epochs=0, epochs=(1, 0, 0, 0), batch_size=16, devices=1)
    classifier.fit(texts, labels).save(tmp_path / "classifier")
    loaded = TextClassifier.load(tmp_path / "classifier", devices=1)
    assert loaded.artifact.backwards
    np.testing.assert_array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))


def test_mistakes_are_named(model, tmp_path):
    with pytest.raises(ArtifactError, match="not trained yet"):
        LanguageModel(preset="tiny").generate("a")
    with pytest.raises(ConfigError, match="preset is only"):
        LanguageModel("somewhere", "tiny")
    for name, value in (("backwards", True), ("tokenizer", "words")):
        with pytest.raises(ConfigError, match=f"{name} is only for pretrained=None"):
            LanguageModel("somewhere", **{name: value})
    with pytest.raises(ConfigError, match="frozen_epochs is only for a pretrained model"):
        LanguageModel(preset="tiny", frozen_epochs=2)
    with pytest.raises(ConfigError, match="seed is -1"):
        LanguageModel(seed=-1)
    with pytest.raises(DataError, match="texts is a generator, which can be read only once"):
        LanguageModel(preset="tiny").fit(text for text in reviews(40)[0])
    with pytest.raises(DataError, match="valid_texts is one string"):
        LanguageModel(preset="tiny").fit(reviews(40)[0], "a text")
    with pytest.raises(ConfigError, match="choose 'sentencepiece', 'words', 'spacy'"):
        LanguageModel(tokenizer="bytes")
    with pytest.raises(ConfigError, match="temperature is 0"):
        model.generate("a", temperature=0)
    for name, value in {"top_k": -1, "top_p": 0.0, "min_p": 1.0}.items():
        with pytest.raises(ConfigError, match=f"{name} is {value}"):
            model.generate("a", **{name: value})
    with pytest.raises(ConfigError, match="n_words is 0"):
        model.generate("a", n_words=0)
    with pytest.raises(DataError, match="fewer than two tokens"):
        model.perplexity([])
    model.save(tmp_path / "lm")
    with pytest.raises(ArtifactError, match="holds a language model, but a classifier is needed"):
        TextClassifier.load(tmp_path / "lm")


@pytest.mark.slow
def test_documents_begin_at_the_zero_state_unless_it_is_carried():
    texts = reviews(200)[0]
    options = {"preset": "tiny", "epochs": 2, "devices": 1, "seed": 1}
    reset, carried = (LanguageModel(**options, reset_state=chosen).fit(texts) for chosen in (True, False))
    assert (reset.artifact.settings["reset_state"], carried.artifact.settings["reset_state"]) == (True, False)
    assert reset.perplexity(texts[0]) < carried.perplexity(texts[0])


def test_a_drop_mult_that_drops_everything_is_refused_at_once(tmp_path):
    with pytest.raises(ConfigError, match="below 1"):
        LanguageModel(drop_mult=10.0)
    for name in ("drop_mult", "lm_drop_mult"):
        with pytest.raises(ConfigError, match="below 1"):
            TextClassifier(**{name: 10.0}).fit(*reviews(20), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_keeps_a_tokeniser_for_each_text(tmp_path):
    texts, others = reviews(40)[0], [text.replace("kettle", "samovar") for text in reviews(40)[0]]
    fingerprints = [
        LanguageModel(preset="tiny", tokenizer=name)
        .starting_point(given, tmp_path, texts_fingerprint(given))
        .tokenizer.fingerprint()
        for name, given in [("words", texts), ("words", others), ("sentencepiece", texts), ("words", texts)]
    ]
    assert len(set(fingerprints)) == 3
    assert fingerprints[0] == fingerprints[3]


def test_what_it_starts_from_is_shown():
    assert repr(LanguageModel("wikipedia-small-forward")) == "LanguageModel('wikipedia-small-forward')"
    assert repr(LanguageModel(preset="tiny")) == "LanguageModel(preset='tiny')"


def test_vectors_are_those_of_each_document_and_a_copy_gives_them_too(model):
    texts = ["The kettle was lovely.", "A bus, and another bus that was late again."]
    found = model.encode(texts)
    for text, vector in zip(texts, found, strict=True):
        expected = document_vector(model.parameters["encoder"], model.tokenizer.encode(text), 72)
        np.testing.assert_allclose(vector, expected, atol=2e-5)
    model.generate("The kettle", n_words=1)
    np.testing.assert_array_equal(copy.deepcopy(model).encode(texts), found)


def test_the_vocabulary_is_as_large_and_covers_as_much_as_was_asked_for():
    texts = [*reviews(60)[0], "a rare ☃ and a 猫"]
    few, all_signs = (
        LanguageModel(preset="tiny", vocabulary_size=65, character_coverage=share).starting_point(texts)
        for share in (0.99, 1.0)
    )
    assert len(few.tokenizer.vocabulary) <= 65
    assert few.architecture.vocabulary_size == len(few.tokenizer.vocabulary)
    assert UNK_ID in few.tokenizer.encode("☃")
    assert UNK_ID not in all_signs.tokenizer.encode("☃ 猫")
    words = LanguageModel(preset="tiny", tokenizer="words", vocabulary_size=40).starting_point(texts * 3)
    assert 40 <= len(words.tokenizer.vocabulary) <= 48  # filled up to a multiple of 8, as fastai does
    for wrong, said in (
        ({"vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"character_coverage": 0.5}, "from 0.9 to 1.0"),
        ({"character_coverage": 0.99, "tokenizer": "words"}, "character_coverage is for the tokenizer sentencepiece"),
        (
            {"pretrained": "wikipedia-small-forward", "vocabulary_size": 100},
            "vocabulary_size is only for pretrained=None",
        ),
    ):
        with pytest.raises(ConfigError, match=said):
            LanguageModel(**wrong)


def test_another_vocabulary_in_a_run_folder_is_another_run(tmp_path):
    texts = reviews(60)[0]
    found = [
        LanguageModel(preset="tiny", vocabulary_size=size).starting_point(texts, tmp_path, "same texts").tokenizer
        for size in (60, 65, 60)
    ]
    assert [len(tokenizer.vocabulary) for tokenizer in found] == [60, 65, 60]
