"""Any bytes in the place of fastai's files: the same model or one sentence; nothing runs, and memory is bounded."""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastai_files import VOCABULARIES, TorchLanguageModel, write
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import Edit, cases, check_sentence, edited, edits, memory_below
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.fastai_vocabulary import read_vocabulary
from ulmfit_jax.interop.fastai_weights import FastaiWeights, read_weights
from ulmfit_jax.interop.restricted_pickle import Ignored, RestrictedUnpickler
from ulmfit_jax.nn.parameters import flatten

WORDS = VOCABULARIES["fastai-2"]
ADMITTED = {("collections", "OrderedDict"): dict, ("torch", "Size"): tuple, ("fastcore.foundation", "L"): Ignored}

WATCHED = ("import", "exec", "compile", "open", "os", "subprocess", "ctypes")
watched: list[str] | None = None
"""What Python reports of programs, imports and files while this is a list."""


def _hear(event: str, arguments: Any) -> None:
    if watched is not None and event.split(".")[0] in (
        "import",
        "exec",
        "compile",
        "open",
        "os",
        "subprocess",
        "ctypes",
    ):
        watched.append(f"{event} {arguments}")


sys.addaudithook(_hear)


def load(content: bytes) -> Any:
    """The object in a pickle, read while Python is watched. (`pytest.fail` passes through `except Exception`.)"""
    global watched
    watched = []
    try:
        return RestrictedUnpickler(io.BytesIO(content), ADMITTED, lambda key: key).load()
    finally:
        heard, watched = watched, None
        if heard:
            pytest.fail(f"a program has run: {heard}")


for warm in (b"I5\nV\\u00e9\nS'a'\nF1.5\nL7L\n.", b"X\x01\x00\x00\x00a."):
    RestrictedUnpickler(io.BytesIO(warm), {}).load()  # what Python loads once to read such instructions


def _argument(opcode: Any) -> st.SearchStrategy[bytes]:
    """The bytes behind an instruction: now and then as many as it says."""
    if opcode.arg is None:
        return st.just(b"")
    names = st.sampled_from([b"os\nsystem\n", b"collections\nOrderedDict\n", b"torch\nSize\n", b"builtins\neval\n"])
    lines = st.sampled_from([b"0\n", b"1\n", b"-7L\n", b"'x'\n", b"\xff\n", b"9" * 5000 + b"\n"]) | names
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        return lines
    if opcode.arg.n > 0:
        return st.binary(min_size=opcode.arg.n, max_size=opcode.arg.n) | st.just(bytes(opcode.arg.n))
    width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(opcode.arg.n, 4)
    contents = st.binary(max_size=5) | st.sampled_from([b"os", b"system", b"x" * 300])
    claims = st.just(b"\xff" * width) | st.just(b"\x00" * (width - 1) + b"\x40")
    return contents.map(lambda b: (len(b) % 256).to_bytes(width, "little") + b) | claims


instructions = st.sampled_from(pickletools.opcodes).flatmap(
    lambda opcode: _argument(opcode).map(lambda argument: opcode.code.encode("latin-1") + argument)
)
programs = st.lists(instructions, max_size=25).map(b"".join).map(lambda program: program + b".")


def test_a_program_that_runs_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADMITTED, ("torch", "Size"), lambda *_: Path("/dev/null").open().close())
    with pytest.raises(pytest.fail.Exception, match=r"a program has run.*/dev/null"):
        load(b"ctorch\nSize\n)R.")


@cases(60)
@given(programs)
def test_no_program_runs_whatever_the_instructions(program: bytes) -> None:
    try:
        load(program)
    except (MemoryError, RecursionError, ImportError):
        raise
    except Exception:
        return  # `refuse` makes a sentence of any of them


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 100), 1 << 100)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=4)
        | st.frozensets(st.text(max_size=3), max_size=3)
        | st.sets(st.integers(-9, 9), max_size=3)
    ),
    max_leaves=20,
)


@cases(40)
@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_what_python_pickled_is_read(value: Any, protocol: int) -> None:
    try:
        found = load(pickle.dumps([value, value], protocol))
    except Exception:
        if protocol < 4:  # old protocols write bytes and sets as calls
            return
        raise
    assert found == [value, value]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each form."""
    folder = tmp_path_factory.mktemp("good")
    state = TorchLanguageModel(len(WORDS), layers=2).state("fastai-2")
    for form in ("zip", "legacy"):
        write(folder, state, WORDS, legacy=form == "legacy", name=form)
    (folder / "vocabulary").write_bytes(pickle.dumps(WORDS))
    return {name: (folder / name).read_bytes() for name in ("zip", "legacy", "vocabulary")}


@cases(40)
@given(st.sampled_from(["zip", "legacy", "vocabulary"]), edits)
def test_a_damaged_file_is_the_same_model_or_named(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, form: str, changes: list[Edit]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged-{form}"
    path.write_bytes(edited(files[form], changes))
    try:
        if form == "vocabulary":
            assert all(isinstance(word, str) for word in read_vocabulary(path).vocabulary.tokens)
            return
        found = read_weights(path)
    except ArtifactError as error:
        check_sentence(error, path)
        return
    path.write_bytes(files[form])
    compare(found, read_weights(path), exactly=form == "zip")


def compare(found: FastaiWeights, expected: FastaiWeights, exactly: bool) -> None:
    """The older format has no checksum: that a number is another one can only be seen where it is none."""
    assert found.architecture == expected.architecture
    for name, array in flatten(expected.encoder).items():
        assert np.isfinite(flatten(found.encoder)[name]).all()
        if exactly:
            np.testing.assert_array_equal(flatten(found.encoder)[name], array)


def doubled(times: int) -> bytes:
    """A tuple of itself twice, of itself twice, ...: a few bytes that are 2 ** times values to whoever goes through."""
    return b")" + b"2\x86" * times


BOMBS: dict[str, bytes] = {
    "a place in the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a length": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3fabc.",
    "a frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x3f].",
    "a key": b"\x80\x02}" + doubled(200) + b"Ns.",
    "a word": b"\x80\x02](X\x02\x00\x00\x00hi" + doubled(200) + b"e.",
    "a member": b"\x80\x04\x8f(" + doubled(200) + b"\x90.",
    "a number": b"\x80\x02\x8b\x00\x00\x0f\x00" + b"\x01" * 0xF0000 + b".",
    "depth": b"\x80\x02" + b"](" * 300_000 + b"e" * 300_000 + b".",
    "copies": b"\x80\x02(" + b"N" * 20_000 + b"l" + b"q\x000" + b"ctorch\nSize\nh\x00\x85R" * 3000 + b".",
    "counted": b"\x80\x02ccollections\nCounter\nq\x000}("
    + b"".join(b"K%cN" % (n % 256) for n in range(9))
    + b"uq\x01.",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_few_bytes_take_neither_memory_nor_time(tmp_path: Path, bomb: bytes) -> None:
    for read in (read_vocabulary, read_weights):
        path = tmp_path / "itos.pkl"
        path.write_bytes(bomb)
        with memory_below(200), pytest.raises(ArtifactError) as caught:
            read(path)
        check_sentence(caught.value, path)


def test_thousands_of_tensors_that_are_one_storage_are_refused(tmp_path: Path) -> None:
    state = TorchLanguageModel(len(WORDS), layers=1).state("fastai-2")
    big = TorchLanguageModel(len(WORDS), embedding=60, layers=1).state("fastai-2")
    for layer in range(100):
        for name in ("weight_hh_l0_raw", "module.weight_ih_l0", "module.bias_ih_l0", "module.bias_hh_l0"):
            big[f"0.rnns.{layer}.{name}"] = big[f"0.rnns.0.{name}"]
    assert len(state) < len(big)
    path, _ = write(tmp_path, big, WORDS)
    with pytest.raises(ArtifactError, match="far larger than the file"):
        read_weights(path)


def hostile_states() -> Iterator[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]]:
    yield "digits", lambda state: state | {f"0.rnns.{'9' * 5000}.module.bias": state["1.decoder.bias"]}
    yield "lines", lambda state: state | {"a\nb": state["1.decoder.bias"]}
    yield "many", lambda state: state | {f"stray-{n}": state["1.decoder.bias"] for n in range(500)}


@pytest.mark.parametrize(("name", "change"), list(hostile_states()))
def test_names_of_any_kind_end_in_one_line(tmp_path: Path, name: str, change: Callable[[Any], Any]) -> None:
    path, _ = write(tmp_path, change(TorchLanguageModel(len(WORDS)).state("fastai-2")), WORDS)
    with pytest.raises(ArtifactError, match="unknown: ") as caught:
        read_weights(path)
    check_sentence(caught.value, path)
