"""Generation: no runs that come twice, beam search beside its slow twin, text piece by piece."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviews import reviews
from ulmfit_jax import ConfigError, LanguageModel
from ulmfit_jax.inference.generate import _NEVER, Generator
from ulmfit_jax.inference.repeats import WINDOW, recent_tokens, with_token, without_repeats
from ulmfit_jax.nn.awd_lstm import initial_state
from ulmfit_jax.training.language_model import language_model_definition


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(preset="tiny", epochs=1, devices=1, seed=1).fit(reviews(120)[0])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), max_size=30), st.integers(2, 5))
def test_a_token_is_forbidden_exactly_where_it_would_end_a_run_again(ids: list[int], n: int) -> None:
    runs = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
    wanted = [tuple([*ids, token][-n:]) in runs for token in range(5)]
    found = without_repeats(jnp.zeros((5,)), jnp.asarray(recent_tokens(np.array(ids), n)), n)
    assert np.isneginf(found).tolist() == wanted


def test_the_window_moves_on() -> None:
    recent = jnp.asarray(recent_tokens(np.arange(WINDOW + 9), 2))
    assert recent[0] == 9
    assert with_token(recent, jnp.int32(7)).tolist() == [*range(10, WINDOW + 9), 7]
    assert with_token(jnp.zeros((0,), jnp.int32), jnp.int32(7)).shape == (0,)


def runs_twice(ids: list[int], n: int) -> bool:
    runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(runs)) < len(runs)


@pytest.mark.parametrize("beams", [0, 3])
def test_no_run_comes_twice(model: LanguageModel, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[int]] = []

    def keep(self: Generator, tokens: np.ndarray, ids: list[int], n_words: int, stop: list[str]) -> str:
        written.append([*tokens.tolist(), *ids])
        return ""

    monkeypatch.setattr(Generator, "_text", keep)
    for no_repeat in (0, 3):
        model.generate("The kettle was", 60, 0.1, beams=beams, no_repeat=no_repeat)
    assert [runs_twice(ids, 3) for ids in written] == [True, False]


def slow_beams(model: LanguageModel, prompt: str, width: int, steps: int) -> list[tuple[float, list[int]]]:
    """Beam search over Python lists, every beam with a state of its own."""
    next_scores = jax.jit(language_model_definition(model.architecture).bind(model.parameters).next_token_logits)
    scores, state = None, initial_state(model.architecture, 1)
    for token in model.tokenizer.encode(prompt):
        scores, state = next_scores(jnp.full((1, 1), token, jnp.int32), state)
    beams = [(0.0, [], scores, state)]
    for _ in range(steps):
        candidates = []
        for total, ids, scores, state in beams:
            row = np.array(scores[0], np.float64)
            row[list(_NEVER)] = -np.inf
            row -= np.logaddexp.reduce(row)
            candidates += [(total + row[token], [*ids, token], state) for token in np.argsort(-row)[:width]]
        candidates.sort(key=lambda entry: -entry[0])
        beams = []
        for total, ids, state in candidates[:width]:
            scores, after = next_scores(jnp.full((1, 1), ids[-1], jnp.int32), state)
            beams.append((total, ids, scores, after))
    return [(total, ids) for total, ids, *_ in beams]


def test_beam_search_is_its_slow_twin(model: LanguageModel) -> None:
    generator = Generator(model.architecture, model.parameters, model.tokenizer)
    model.generate("The bus", 1, beams=3)
    search = model._generator._programs["beams", 3, 0]  # type: ignore[union-attr]
    tokens = model.tokenizer.encode("The bus")
    state, scores = (part[0] if hasattr(part, "shape") else part for part in generator._after([tokens]))
    state = tuple(type(layer)(*(array[0] for array in layer)) for layer in state)
    beams = search.start(state, scores, recent_tokens(tokens, 0))
    beams, texts = search.go_on(model.parameters, beams, np.zeros((3, 0), np.int32))
    expected = slow_beams(model, "The bus", 3, texts.shape[1])
    np.testing.assert_allclose(beams.total, [total for total, _ in expected], rtol=1e-4)
    assert texts.tolist() == [ids for _, ids in expected]


def test_one_beam_is_the_likeliest_token_each_time(model: LanguageModel) -> None:
    assert model.generate("The bus", 20, beams=1) == model.generate("The bus", 20, top_k=1)
    both = model.generate(["The bus", "A kettle"], 9, beams=2)
    assert both == [model.generate(prompt, 9, beams=2) for prompt in ("The bus", "A kettle")]
    assert model.generate("The bus", 9, beams=2, seed=5) == both[0]


@pytest.mark.parametrize("options", [{}, {"stop": ["was"]}, {"stop": [". The", "umbrella"]}, {"no_repeat": 2}])
def test_the_pieces_are_the_text(model: LanguageModel, options: dict[str, object]) -> None:
    for seed in range(4):
        pieces = list(model.stream("The kettle", 50, 1.5, seed=seed, **options))  # type: ignore[arg-type]
        assert "".join(pieces) == model.generate("The kettle", 50, 1.5, seed=seed, **options)
        assert pieces[0] == "The kettle"
        assert all(pieces)
        if "stop" not in options:
            assert len(pieces) > 4


def test_a_piece_comes_before_the_text_is_finished(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = []
    plain = Generator._blocks

    def counted(self: Generator, *arguments: object) -> object:
        for block in plain(self, *arguments):  # type: ignore[arg-type]
            blocks.append(len(block[0]))
            yield block

    monkeypatch.setattr(Generator, "_blocks", counted)
    pieces = model.stream("The kettle", 100, seed=1)
    assert [next(pieces), bool(next(pieces))] == ["The kettle", True]
    assert len(blocks) <= 2
    rest = list(pieces)
    assert rest
    assert len(blocks) > 6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"no_repeat": 1}, "no_repeat is 1, it has to be 0 .* or from 2 to 64"),
        ({"no_repeat": -2}, "no_repeat is -2"),
        ({"beams": -1}, "beams is -1"),
        ({"beams": 2, "top_k": 3}, "leave top_k, top_p and min_p out"),
    ],
)
def test_numbers_out_of_range(model: LanguageModel, options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        model.generate("a", **options)
