"""Encoding many texts in several processes: lazily, in order, in bounded memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ConfigError

Encode = Callable[[str], NDArray[np.int32]]

CHUNK_CHARACTERS: Final = 1 << 18
"""How much text goes to a process at a time: large against the cost of sending it, small against memory."""
SMALL: Final = 64
"""With fewer chunks than this, two processes take longer to start than they save."""


def encode_batch(encode: Encode, texts: Iterable[str], workers: int) -> Iterator[NDArray[np.int32]]:
    """The ids of each text, in order.

    With `workers` > 1, that many processes encode. They are started only for more than 16 million characters (64 chunks
    of 262,144), below which they cost more time than they save, and start afresh ("spawn"), because a process forked
    from one in which JAX runs can hang; so a script that asks for them needs `if __name__ == "__main__":`. The first
    16 million characters are in memory at a time, then three chunks a worker.

    Args:
        encode: a tokenizer's `encode` method; it is pickled, tokenizer and all, once for each process.
        texts: any number of texts, read only as far ahead as said above.
        workers: processes that encode; 1: this one.

    Raises:
        ConfigError: `workers` is below 1, or the processes cannot run.
    """
    if workers < 1:
        raise ConfigError(f"workers is {workers}; it has to be 1 or more")
    return map(encode, texts) if workers == 1 else _encode_in_processes(encode, texts, workers)


def _encode_in_processes(encode: Encode, texts: Iterable[str], workers: int) -> Iterator[NDArray[np.int32]]:
    chunks = _chunks(texts)
    first = list(islice(chunks, SMALL))
    if len(first) < SMALL:
        yield from map(encode, chain.from_iterable(first))
        return
    context = multiprocessing.get_context("spawn")
    under_way: deque[Future[tuple[NDArray[np.int32], list[int]]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_set_encode, initargs=(encode,)) as pool:
        try:
            for chunk in chain(_drained(first), chunks):
                with _interrupts_held_back():
                    under_way.append(pool.submit(_encode_chunk, chunk))
                if len(under_way) == 3 * workers:
                    yield from _documents(*under_way.popleft().result())
            while under_way:
                yield from _documents(*under_way.popleft().result())
        except BrokenProcessPool as error:
            raise ConfigError(
                f"the {workers} processes that encode texts have stopped; use workers=1, or call from under "
                f'`if __name__ == "__main__":` and leave enough memory'
            ) from error
        finally:
            for future in under_way:
                future.cancel()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes that are started here never see Ctrl-C, which a console sends to all: only this process acts on it.

    A process that it stopped in the middle of a chunk would leave the pool waiting for ever.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _drained(chunks: list[list[str]]) -> Iterator[list[str]]:
    chunks.reverse()
    while chunks:
        yield chunks.pop()


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for text in texts:
        chunk.append(text)
        characters += len(text) + 1 if isinstance(text, str) else 1  # `encode` says what is wrong with another type
        if characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _documents(ids: NDArray[np.int32], lengths: list[int]) -> Iterator[NDArray[np.int32]]:
    start = 0
    for length in lengths:
        yield ids[start : start + length].copy()  # a view would keep the whole chunk in memory
        start += length


_encode: Encode
"""The tokenizer's method in a worker process, where each chunk would otherwise have to bring its own."""


def _set_encode(encode: Encode) -> None:
    global _encode
    _encode = encode


def _encode_chunk(texts: list[str]) -> tuple[NDArray[np.int32], list[int]]:
    documents = [_encode(text) for text in texts]
    return np.concatenate(documents), [len(document) for document in documents]
