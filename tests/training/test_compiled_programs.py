"""Programs kept in a run's folder."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from reviews import reviews
from ulmfit_jax import TextClassifier
from ulmfit_jax.training import compiled_programs
from ulmfit_jax.training.compiled_programs import kept_programs, machine, make_room

NAME = "jax_compilation_cache_dir"


@pytest.fixture
def no_cache_yet() -> Iterator[None]:
    """The suite has a cache of its own; a user mostly has none."""
    before = getattr(jax.config, NAME)
    jax.config.update(NAME, None)
    compilation_cache.reset_cache()
    yield
    jax.config.update(NAME, before)
    compilation_cache.reset_cache()


@pytest.fixture
def events() -> Iterator[Counter[str]]:
    """How often JAX has found a program, and how often it has not."""
    counted: Counter[str] = Counter()

    def count(event: str, **_: Any) -> None:
        if event.startswith("/jax/compilation_cache/cache_"):
            counted[event.rpartition("_")[2]] += 1

    jax.monitoring.register_event_listener(count)
    yield counted
    jax.monitoring.unregister_event_listener(count)


@pytest.mark.slow
@pytest.mark.usefixtures("no_cache_yet")
def test_a_second_start_compiles_nothing(tmp_path: Path, events: Counter[str]) -> None:
    texts, labels = reviews(40)

    def train(folder: Path) -> TextClassifier:
        jax.clear_caches()
        events.clear()
        model = TextClassifier(None, "tiny", lm_epochs=1, epochs=(1, 0, 0, 0), devices=1, batch_size=8)
        return model.fit(texts, labels, run_dir=folder)

    first = train(tmp_path / "first")
    assert events["misses"] > 10
    shutil.copytree(tmp_path / "first" / "compiled", tmp_path / "second" / "compiled")
    second = train(tmp_path / "second")
    assert (events["misses"], events["hits"] > 10) == (0, True)
    assert second.history_[-1]["train_loss"] == first.history_[-1]["train_loss"]
    assert getattr(jax.config, NAME) is None


@pytest.mark.usefixtures("no_cache_yet")
def test_a_damaged_program_is_compiled_again(tmp_path: Path, events: Counter[str]) -> None:
    def twice() -> int:
        jax.clear_caches()
        with kept_programs(tmp_path):
            return int(jax.jit(lambda number: number * 2)(21))

    assert twice() == 42
    for file in (tmp_path / "compiled" / machine()).glob("*lambda*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    events.clear()
    assert twice() == 42  # and says nothing: warnings are errors here
    assert events["misses"] == 1


@pytest.mark.usefixtures("no_cache_yet")
def test_the_folder_is_that_of_the_machine_and_of_the_outermost_run(tmp_path: Path) -> None:
    own = str(tmp_path / "outer" / "compiled" / machine())
    with kept_programs(tmp_path / "outer"):
        assert getattr(jax.config, NAME) == own
        with kept_programs(tmp_path / "inner"):
            assert getattr(jax.config, NAME) == own
        assert getattr(jax.config, NAME) == own
    with kept_programs(None):
        assert getattr(jax.config, NAME) is None


@pytest.mark.usefixtures("no_cache_yet")
def test_an_error_ends_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), kept_programs(tmp_path):
        raise ZeroDivisionError
    assert getattr(jax.config, NAME) is None


def test_a_users_own_cache_stays(tmp_path: Path) -> None:
    before = getattr(jax.config, NAME)
    with kept_programs(tmp_path):
        assert getattr(jax.config, NAME) == before != ""


def test_another_version_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine()
    assert (len(before), machine()) == (12, before)
    monkeypatch.setattr(jax, "__version__", "0.0.0")
    assert machine() != before


@pytest.mark.slow
def test_a_process_with_many_programs_lets_go_of_them_and_answers_as_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    maps = compiled_programs._MAPS
    if not maps.exists():
        pytest.skip("memory maps are counted on Linux alone")

    def used() -> int:
        return maps.read_bytes().count(b"\n")

    texts, labels = reviews(40)
    first = TextClassifier(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), devices=1, batch_size=8).fit(texts, labels)
    before, many = first.predict_proba(texts), used()
    make_room()
    assert used() > many - 50  # there is room yet
    (tmp_path / "limit").write_text(str(many))
    monkeypatch.setattr(compiled_programs, "_LIMIT", tmp_path / "limit")
    TextClassifier(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), devices=1, batch_size=8).fit(texts, labels)
    assert used() < many  # though as many programs were compiled again
    np.testing.assert_array_equal(first.predict_proba(texts), before)
