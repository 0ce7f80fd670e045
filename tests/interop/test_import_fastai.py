from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from fastai_files import VOCABULARIES, TorchLanguageModel, our_logits, torch, write

from ulmfit_jax import ArtifactError, LanguageModel
from ulmfit_jax.artifact import load_artifact, save_artifact
from ulmfit_jax.interop import import_fastai
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.text import SPECIALS
from ulmfit_jax.text.rules_fastai07 import NAMES_FASTAI07

GENERATIONS = list(VOCABULARIES)


def ours_of(word: str) -> str:
    return NAMES_FASTAI07.get(word, word)


def file_rows(ids: np.ndarray, tokens: tuple[str, ...], words: list[str]) -> list[int]:
    """The rows in the file of the tokens that our tokenizer has made."""
    places = {ours_of(word): row for row, word in enumerate(words)}
    return [places[tokens[i]] for i in ids]


def assert_scores_are_torchs(artifact, model: TorchLanguageModel, words: list[str], bias: bool) -> None:
    tokens = artifact.tokenizer.vocabulary.tokens
    ids = artifact.tokenizer.encode("The film was GOOD, the day was bad and a film.")
    rows = file_rows(ids, tokens, words)
    shared = [i for i, token in enumerate(tokens) if token in map(ours_of, words)]
    scores = our_logits(artifact.parameters, artifact.architecture, ids.tolist())
    expected = model.logits(rows, bias)
    np.testing.assert_allclose(scores[:, shared], expected[:, file_rows(shared, tokens, words)], atol=2e-5)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_scores_are_torchs(tmp_path: Path, generation: str, nested: bool, legacy: bool) -> None:
    words = VOCABULARIES[generation]
    model = TorchLanguageModel(len(words))
    state = model.state(generation)
    saved = {"model": state, "opt": {"state": [{"mom": torch.ones(3)}], "hypers": [{"lr": 0.1}]}} if nested else state
    artifact = import_fastai(*write(tmp_path, saved, words, legacy=legacy))
    assert (artifact.kind, artifact.tokenizer.rules) == ("language_model", generation)
    assert_scores_are_torchs(artifact, model, words, bias=generation != "fastai-0.7")


def test_a_file_of_the_torch_of_fastai_07_written_on_a_gpu(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-0.7"]
    model = TorchLanguageModel(len(words))
    weights, vocabulary = write(tmp_path, model.state("fastai-0.7"), words, legacy=True, name="fwd_wt103.h5")
    content = weights.read_bytes()
    for new, old in ((b"_rebuild_tensor_v2\n", b"_rebuild_tensor\n"), (b"ctorch\nFloat", b"ctorch.cuda\nFloat")):
        assert new in content
        content = content.replace(new, old)
    weights.write_bytes(content)
    embedding = import_fastai(weights, vocabulary).parameters["encoder"]["embedding"]
    np.testing.assert_array_equal(embedding[9:], model.embedding[[*range(2, 15), 17, 20]])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_special_tokens_stand_in_our_order_and_missing_ones_start_as_the_mean(tmp_path: Path, generation: str) -> None:
    words = VOCABULARIES[generation]
    model = TorchLanguageModel(len(words))
    artifact = import_fastai(*write(tmp_path, model.state(generation), words))
    tokens = artifact.tokenizer.vocabulary.tokens
    assert tokens[:9] == SPECIALS
    assert set(tokens) == {*SPECIALS, *map(ours_of, words)}
    embedding, rows = artifact.parameters["encoder"]["embedding"], model.embedding.numpy()
    found = {ours_of(word): rows[row] for row, word in enumerate(words)}
    for token, row in zip(tokens, embedding, strict=True):
        np.testing.assert_allclose(row, found.get(token, rows.mean(axis=0)), atol=1e-6, err_msg=token)
    missing = {"fastai-2": set(), "fastai-1": {"xxwrep"}, "fastai-0.7": {"xxeos", "xxrep", "xxmaj"}}[generation]
    assert set(SPECIALS) - set(found) == missing


def test_a_decoder_without_bias_gets_zeros(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-0.7"]
    artifact = import_fastai(*write(tmp_path, TorchLanguageModel(len(words)).state("fastai-0.7"), words))
    assert not artifact.parameters["decoder"]["bias"].any()


@pytest.mark.parametrize("hidden", [1150, 1152])
def test_published_widths(tmp_path: Path, hidden: int) -> None:
    words = VOCABULARIES["fastai-1"]
    model = TorchLanguageModel(len(words), embedding=4, hidden=hidden, layers=2)
    artifact = import_fastai(*write(tmp_path, model.state("fastai-1"), words, legacy=hidden == 1150))
    assert artifact.architecture.hidden_size == hidden
    kernel = artifact.parameters["encoder"]["lstm_0"]["recurrent_kernel"]
    np.testing.assert_array_equal(kernel.T, model.lstms[0].weight_hh_l0.detach().numpy())


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("prefix", ["", "0."])
def test_a_file_without_decoder_is_an_encoder(tmp_path: Path, generation: str, prefix: str) -> None:
    words = VOCABULARIES[generation]
    model = TorchLanguageModel(len(words))
    state = {f"{prefix}{name}": array for name, array in model.state(generation, encoder_only=True).items()}
    whole = import_fastai(*write(tmp_path / "whole", model.state(generation), words))
    files = write(tmp_path / "encoder", state, words)
    artifact = import_fastai(*files)
    assert artifact.kind == "encoder"
    assert list(artifact.parameters) == ["encoder"]
    jax.tree.map(np.testing.assert_array_equal, artifact.parameters["encoder"], whole.parameters["encoder"])
    with pytest.raises(ArtifactError, match="holds an encoder alone: make a folder of it with ulmfit import-fastai"):
        LanguageModel.from_fastai(*files)


def test_a_recurrent_matrix_that_stands_alone_is_taken(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-2"]
    model = TorchLanguageModel(len(words))
    state = {
        name.replace(".weight_hh_l0_raw", ".module.weight_hh_l0"): v for name, v in model.state("fastai-2").items()
    }
    assert_scores_are_torchs(import_fastai(*write(tmp_path, state, words)), model, words, bias=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    words = VOCABULARIES["fastai-2"]
    model = TorchLanguageModel(len(words))
    state = {name: tensor.to(dtype) for name, tensor in model.state("fastai-2").items()}
    artifact = import_fastai(*write(tmp_path, state, words))
    rounded = model.embedding.to(dtype).to(torch.float32).numpy()
    np.testing.assert_array_equal(artifact.parameters["encoder"]["embedding"], rounded)


def test_a_word_that_occurs_twice_is_the_last_one(tmp_path: Path) -> None:
    words = [*VOCABULARIES["fastai-2"], "film", "xxbos"]
    model = TorchLanguageModel(len(words))
    artifact = import_fastai(*write(tmp_path, model.state("fastai-2"), words))
    vocabulary, embedding = artifact.tokenizer.vocabulary, artifact.parameters["encoder"]["embedding"]
    for word in ("film", "xxbos"):
        np.testing.assert_array_equal(embedding[vocabulary.index(word)], model.embedding[words.index(word, 20)])
    assert sum(token == "film" for token in vocabulary.tokens) == 1
    assert len(vocabulary) == len(words)


def test_rules_can_be_chosen(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-1"]
    files = write(tmp_path, TorchLanguageModel(len(words)).state("fastai-1"), words)
    assert import_fastai(*files, rules="fastai-2").tokenizer.rules == "fastai-2"


def test_an_imported_model_is_saved_and_loaded(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-1"]
    weights, vocabulary = write(tmp_path, TorchLanguageModel(len(words)).state("fastai-1"), words)
    artifact = import_fastai(weights, vocabulary, language="de", backwards=True)
    save_artifact(artifact, tmp_path / "model")
    loaded = load_artifact(tmp_path / "model", "language_model")
    assert (loaded.backwards, loaded.tokenizer.language, loaded.tokenizer.rules) == (True, "de", "fastai-1")
    jax.tree.map(np.testing.assert_array_equal, loaded.parameters, artifact.parameters)
    source = loaded.provenance["imported_from"]
    assert (source["weights"], source["vocabulary"], source["text_rules"]) == ("model.pth", "itos.pkl", "fastai-1")
    assert "model.pth" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.slow
def test_fine_tuning_moves_the_model_to_new_words(tmp_path: Path) -> None:
    words = VOCABULARIES["fastai-1"]
    weights, vocabulary = write(tmp_path, TorchLanguageModel(len(words)).state("fastai-1"), words)
    model = LanguageModel.from_fastai(weights, vocabulary, epochs=1, bptt=8, devices=1)
    texts = ["The film was splendid, and the day was too.", "The day was good."] * 20
    before = model.artifact
    start = model.starting_point(texts)
    tokens, rows = start.tokenizer.vocabulary, start.parameters["encoder"]["embedding"]
    known = before.tokenizer.vocabulary.index("film")
    np.testing.assert_array_equal(rows[tokens.index("film")], before.parameters["encoder"]["embedding"][known])
    mean = before.parameters["encoder"]["embedding"].mean(axis=0)
    np.testing.assert_allclose(rows[tokens.index("splendid")], mean, atol=1e-6)
    model.fit(texts)
    assert [row["stage"] for row in model.history] == ["lm frozen", "lm"]
    assert model.tokenizer.fingerprint() == start.tokenizer.fingerprint()
    assert model.tokenizer.rules == "fastai-1"
    changed = flatten(jax.tree.map(lambda a, b: not np.array_equal(a, b), start.parameters, model.parameters))
    assert all(changed.values())
    assert np.isfinite(model.perplexity(texts))
