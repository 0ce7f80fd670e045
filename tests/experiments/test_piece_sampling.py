from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
from scripts import imported

from reviews import reviews, write_reviews
from ulmfit_jax import ConfigError, LanguageModel
from ulmfit_jax.artifact import Artifact, save_artifact
from ulmfit_jax.nn.architecture import preset
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.text.rules import BOS_ID
from ulmfit_jax.text.words import WordTokenizer
from ulmfit_jax.training.language_model import language_model_definition


def test_a_text_is_segmented_anew_each_time_and_stays_the_same_text(language_model: Path) -> None:
    plain = LanguageModel(language_model).tokenizer
    drawn = imported("piece_sampling").SampledPieces(plain.model_proto, 0.1)
    sentencepiece.set_random_generator_seed(0)
    text = reviews(1)[0][0]
    found = [drawn.encode(text) for _ in range(10)]
    assert len({tuple(ids) for ids in found}) == 10
    assert all(ids[0] == BOS_ID and plain.decode(ids) == plain.decode(plain.encode(text)) for ids in found)


def test_the_table_has_a_row_for_each_alpha(
    tmp_path: Path, language_model: Path, printed: Callable[..., list[str]]
) -> None:
    given = [write_reviews(tmp_path / "data.csv", 80), "--model", language_model, "--documents", "60"]
    lines = printed("piece_sampling", *given, "--valid-documents", "20", "--copies", "8", "--alphas", "0.5")
    assert lines[0] == "| variant | error, % | loss | training loss | seconds |"
    pattern = r"\| (.+) \| (\S+) \| (\S+) \| (\S+) \| \d+ \|"
    found = [row.groups() for line in lines[2:] if (row := re.fullmatch(pattern, line))]
    assert [name for name, *_ in found] == ["the most probable pieces", "alpha 0.5"]
    assert all(float(error) < 25 for _, error, *_ in found)  # the words tell
    assert found[0][2] != found[1][2]


def test_a_model_over_words_and_impossible_numbers(tmp_path: Path, printed: Callable[..., list[str]]) -> None:
    tokenizer = WordTokenizer.train(reviews(60)[0])
    sizes = preset("tiny", len(tokenizer.vocabulary))
    untrained, _ = language_model_definition(sizes).initialise(0)
    save_artifact(Artifact("language_model", sizes, tokenizer, to_numpy(untrained)), tmp_path / "words")
    with pytest.raises(ConfigError, match="is over words"):
        imported("piece_sampling").starting_point(str(tmp_path / "words"))
    with pytest.raises(ConfigError, match="--copies has to be 1 or more"):
        printed("piece_sampling", "data.csv", "--documents", "4", "--copies", "0")
