from __future__ import annotations

import lzma
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scripts import imported

from reviews import reviews
from ulmfit_jax import ConfigError
from ulmfit_jax.artifact import load_artifact

WIKITEXT = "\n".join(
    [
        " ",
        " = A kettle = ",
        " ",
        " The kettle was lovely , and cost 1 @,@ 200 crowns ( once ) . ",
        " = = Its <unk> = = ",
        " ",
        ' " Tasty " it was n\'t . ',
        " ",
        " = A bus = ",
        " ",
        " The bus was well @-@ known . ",
        "",
    ]
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two parts and a text to measure on, in the form of the true ones."""
    folder = tmp_path_factory.mktemp("wikipedia")
    (folder / "wikipedia-en").mkdir()
    for part, count in ((0, 150), (7, 40)):
        text = "\n\n".join(reviews(count, seed=part)[0])
        (folder / "wikipedia-en" / f"part-{part}-of-8.txt.xz").write_bytes(lzma.compress(text.encode()))
    (folder / "wikitext-103").mkdir()
    (folder / "wikitext-103" / "wiki.valid.tokens").write_text(WIKITEXT, "utf-8")
    return folder


def test_the_measured_text_is_read_as_one_would_write_it(data_dir: Path) -> None:
    texts, words, characters = imported("pretrain_wikipedia").wikitext(data_dir / "wikitext-103" / "wiki.valid.tokens")
    assert [re.sub(r"\s+", " ", text).strip() for text in texts] == [
        'A kettle. The kettle was lovely, and cost 1,200 crowns (once). Its <unk> . "Tasty" it wasn\'t.',
        "A bus. The bus was well-known.",
    ]
    assert words == 42 + 11  # tokens but for <unk>, and ends of lines
    assert characters == sum(len(re.sub(r"\s+", " ", text.replace("<unk>", "")).strip()) for text in texts)


def test_a_model_is_trained_measured_and_gone_on_with(
    data_dir: Path, tmp_path: Path, printed: Callable[..., list[str]]
) -> None:
    given = ["--data-dir", data_dir, "--parts", "1", "--batch-size", "8", "--bptt", "16", "--learning-rate", "2e-2"]
    sizes = ["--preset", "tiny", "--vocabulary-size", "70", "--hidden-size", "24"]
    first = [*sizes, "--most-documents", "100", "--work-dir", tmp_path / "work", "--out", tmp_path / "first"]
    printed("pretrain_wikipedia", *given, *first)
    model = load_artifact(tmp_path / "first", "language_model")
    assert (model.architecture.hidden_size, model.architecture.embedding_size) == (24, 32)
    assert model.architecture.vocabulary_size == len(model.tokenizer.vocabulary) == 70
    per_word, per_character = list(model.provenance["measures"].values())[1:]
    _, words, characters = imported("pretrain_wikipedia").wikitext(data_dir / "wikitext-103" / "wiki.valid.tokens")
    assert math.isclose(math.log2(per_word) * words, per_character * characters, rel_tol=1e-3)

    second = ["--start", tmp_path / "first", "--work-dir", tmp_path / "more", "--out", tmp_path / "second"]
    with pytest.raises(SystemExit):
        printed("pretrain_wikipedia", *given, *sizes, *second)  # which are the first one's
    printed("pretrain_wikipedia", *given, *second)
    found = [load_artifact(tmp_path / name).provenance for name in ("first", "second")]
    perplexities = [next(iter(each["measures"].values())) for each in found]
    assert perplexities[1] < perplexities[0] < 70
    assert found[1]["started_from"] == found[0]
    assert found[0]["training"]["tokens"] < found[1]["training"]["tokens"]


def test_the_first_documents(data_dir: Path, tmp_path: Path, printed: Callable[..., list[str]]) -> None:
    experiment = imported("pretrain_wikipedia")
    corpus = experiment.Corpus.from_arrays([np.arange(4), np.arange(3), np.arange(5)])

    def documents(most_tokens: int | None = None, most_documents: int | None = None) -> int:
        chosen = experiment.argparse.Namespace(most_tokens=most_tokens, most_documents=most_documents)
        return len(experiment.first_documents(corpus, chosen))

    assert documents() == 3
    assert [documents(most_tokens=count) for count in (6, 7, 11, 12)] == [1, 2, 2, 3]
    assert documents(most_documents=2) == 2
    with pytest.raises(ConfigError, match="3 documents are there to train on, 4 are asked for"):
        documents(most_documents=4)
    with pytest.raises(ConfigError, match="the first document has more than 3 tokens"):
        documents(most_tokens=3)


def test_characters_are_those_that_are_scored(tmp_path: Path) -> None:
    (tmp_path / "wiki").write_text(" \n = Cats = \n \n A cat , or <unk> , is 3 @-@ 4 kg . \n \n", "utf-8")
    (text,), words, characters = imported("pretrain_wikipedia").wikitext(tmp_path / "wiki")
    assert text.split() == ["Cats.", "A", "cat,", "or", "<unk>", ",", "is", "3-4", "kg."]
    assert characters == len("Cats. A cat, or , is 3-4 kg.")
    assert words == 3 + 12 + 5 - 1  # words of both lines, ends of five lines, without <unk>
