"""`ulmfit generate` piece by piece, by beam search and for several prompts; `ulmfit perplexity`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome

from ulmfit_jax import LanguageModel
from ulmfit_jax.cli import generate

Run = Callable[..., Outcome]
PROMPTS = ["--prompt", "The film was", "--prompt", "My book"]


def test_streamed_texts_are_those_that_are_printed_whole(language_model: Path, ulmfit: Run) -> None:
    command = ["generate", language_model, *PROMPTS, "--words", "30", "--seed", "3", "--no-repeat", "3"]
    whole = ulmfit(*command)
    assert [line[:6] for line in whole.out.splitlines()] == ["The fi", "My boo"]
    assert ulmfit(*command, "--stream").out == whole.out


def test_a_stream_is_printed_while_it_is_written(
    language_model: Path, ulmfit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(generate, "show", lambda text, end="\n": shown.append((text, end)))
    ulmfit("generate", language_model, "--prompt", "The film", "--words", "60", "--stream")
    assert len(shown) > 4
    assert {end for _, end in shown[:-1]} == {""}
    assert shown[-1] == ("", "\n")


def test_beam_search_needs_no_seed(language_model: Path, ulmfit: Run) -> None:
    command = ["generate", language_model, *PROMPTS, "--words", "8", "--beams", "3"]
    assert ulmfit(*command).out == ulmfit(*command, "--seed", "9").out != ""
    for option in (["--stream"], ["--samples", "2"]):
        refused = ulmfit(*command, *option)
        assert (refused.code, "--beams finds one text a prompt" in refused.err) == (2, True)
    refused = ulmfit(*command, "--top-k", "5")
    assert (refused.code, "leave --top-k, --top-p and --min-p out" in refused.err) == (2, True)
    assert "--no-repeat is 1" in ulmfit("generate", language_model, "--no-repeat", "1").err


def test_perplexity_is_the_models_of_lines_and_tables(
    language_model: Path, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["The film was lovely and the book was great.", "I bought 3."]
    lines, table = tmp_path / "texts.txt", tmp_path / "texts.csv"
    lines.write_text("\n".join(texts) + "\n", "utf-8")
    table.write_text("body\n" + "\n".join(texts) + "\n", "utf-8")
    found = ulmfit("perplexity", language_model, lines, "--json").json
    assert found["perplexity"] == pytest.approx(LanguageModel.load(language_model).perplexity(texts))
    assert found["n"] == 2
    of_table = ulmfit("perplexity", language_model, table, "--text-column", "body", "--json").json
    assert of_table["perplexity"] == found["perplexity"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    assert ulmfit("perplexity", language_model).out == f"perplexity {found['perplexity']:,.2f} per token   2 texts\n"


def test_perplexity_of_nothing_is_refused(language_model: Path, ulmfit: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("", "utf-8")
    outcome = ulmfit("perplexity", language_model, tmp_path / "empty.txt")
    assert outcome.code == 2
    assert "empty" in outcome.err
