"""Documents through a classifier's network, dropout off: log probabilities and pooled vectors of a whole corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from ulmfit_jax.data.batches import DocumentBatch, read_lengths
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.lanes import DocumentLanes, LaneBlock, cheapest_lanes
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm
from ulmfit_jax.nn.classifier import DEVICE_AXIS, Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.lanes import LaneCarry, encode_lanes, initial_carry, picked
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.training.mapping import REPLICATED, Devices

CPU_LANES, ACCELERATOR_LANES = 64, 256
"""The most that one device reads at a time."""

Block = tuple[Any, Any, Any]
"""Tokens, pooled and ends of a `LaneBlock`."""

Told = Callable[[int, int], None]
"""Is told again and again how many documents are read, of how many."""

CPU_IDLE, ACCELERATOR_IDLE = 8, 1024
"""Lanes whose products take as long as the rest of a step, about: see `cheapest_lanes`."""

_UNDER_WAY = 8
"""So many reads of a block are dispatched before one is waited for: devices that share a CPU hang with too many steps
under way that wait for each other, and many very short documents end in one block."""


def split_documents(batch: DocumentBatch, devices: Devices) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and lengths of a batch with the device axis in: `[chunks, bptt, devices, rows]`, `[devices, rows]`."""
    return devices.split_rows(batch.tokens, 2), devices.split_rows(batch.lengths, 0)


class Reading(NamedTuple):
    """How a classifier reads documents; see `DocumentLanes`."""

    bptt: int = 72
    max_length: int = MAX_LENGTH
    backwards: bool = False


class DocumentPass:
    """`(parameters, statistics, corpus) -> [documents, width]` float32 in the order of the corpus.

    What it gives for a document depends on nothing that is read beside it. Programs are compiled for each number of
    lanes, a power of two times the devices, of which small corpora need few.
    """

    def __init__(
        self,
        encoder_of: Callable[[Tree, Tree], AwdLstm],
        value_of: Callable[[Tree, Tree, jax.Array], jax.Array],
        architecture: Architecture,
        width: int,
        devices: Devices,
        reading: Reading,
        all_layers: bool = False,
    ):
        """Bind to a network.

        Args:
            encoder_of: from parameters and statistics to the encoder.
            value_of: from them and documents' vectors `[rows, features]` to `[rows, width]`.
            architecture: sizes of the encoder.
            width: numbers that a document is given.
            devices: devices to map over; every process gets the values of all.
            reading: how documents are read.
            all_layers: pool the lower layers into the vectors, too.
        """
        self._all_layers = all_layers
        self._architecture, self._width, self._devices, self._reading = architecture, width, devices, reading

        def encode(parameters: Tree, statistics: Tree, block: Block, carry: LaneCarry) -> Any:
            return encode_lanes(encoder_of(parameters, statistics), *block, carry, all_layers)

        def read(parameters: Tree, statistics: Tree, vectors: jax.Array, places: jax.Array) -> jax.Array:
            return lax.all_gather(value_of(parameters, statistics, picked(vectors, places)), DEVICE_AXIS)

        self.encode = devices.map(encode, (REPLICATED, REPLICATED, 1, 0), (0, 0), donate=(3,))
        self.read = devices.map(read, (REPLICATED, REPLICATED, 0, 0), REPLICATED)

    def lanes(self, corpus: Corpus) -> DocumentLanes:
        """The documents as they are read; there has to be one."""
        cpu = jax.default_backend() == "cpu"
        most, idle = (CPU_LANES, CPU_IDLE) if cpu else (ACCELERATOR_LANES, ACCELERATOR_IDLE)
        devices = len(self._devices)
        choices = [devices << power for power in range(most.bit_length())]
        return DocumentLanes(corpus, cheapest_lanes(read_lengths(corpus), choices, devices * idle), *self._reading)

    def __call__(
        self, parameters: Tree, statistics: Tree, corpus: Corpus | None, told: Told = lambda done, total: None
    ) -> np.ndarray:
        """The values of all documents; None is no document. `told` may end the pass by raising."""
        if corpus is None or not len(corpus):
            return np.zeros((0, self._width), np.float32)
        result = np.full((len(corpus), self._width), np.nan, np.float32)
        lanes = self.lanes(corpus)
        carry = self.initial_carry(lanes)
        pending: list[tuple[Any, list[tuple[np.ndarray, Any]]]] = []
        done = 0
        for block in lanes:
            vectors, carry = self.encode(parameters, statistics, self.split(block), carry)
            values = []
            for documents, places in self._finished(block):
                found = self.read(parameters, statistics, vectors, self._devices.split_rows(places, 0))
                values.append((documents, found))
                if len(values) % _UNDER_WAY == 0:
                    jax.block_until_ready(found)
            pending.append((vectors, values))
            if len(pending) > 2:
                done += _collect(result, *pending.pop(0))
                told(done, len(corpus))
        for item in pending:
            _collect(result, *item)
        return result

    def initial_carry(self, lanes: DocumentLanes) -> Any:
        """What the first block begins from, spread over the devices."""
        carry = initial_carry(self._architecture, lanes.lanes, self._all_layers)
        return self._devices.scatter(jax.tree.map(lambda array: self._devices.split_rows(np.asarray(array), 0), carry))

    def split(self, block: LaneBlock) -> Block:
        """Tokens, pooled and ends with the device axis in, `[steps, devices, lanes]`."""
        rows = self._devices.split_rows
        return rows(block.tokens, 1), rows(block.pooled, 1), rows(block.ends, 1)

    def _finished(self, block: LaneBlock) -> list[tuple[np.ndarray, np.ndarray]]:
        """Documents that end in a block, as many at a time as there are lanes: their numbers in the corpus, -1 for
        none, and places on their device, both `[lanes]`."""
        each = block.tokens.shape[1] // len(self._devices)
        by_device: list[list[tuple[int, int]]] = [[] for _ in range(len(self._devices))]
        for document, step, lane in block.finished.tolist():
            by_device[lane // each].append((document, step * each + lane % each))
        rounds = -(-max(map(len, by_device)) // each)
        table = np.full((len(self._devices), rounds * each, 2), (-1, 0), np.int64)
        for device, found in enumerate(by_device):
            table[device, : len(found)] = np.array(found, np.int64).reshape(-1, 2)
        parts = (table[:, number * each : (number + 1) * each].reshape(-1, 2) for number in range(rounds))
        return [(part[:, 0], part[:, 1].astype(np.int32)) for part in parts]


def scoring_pass(
    definition: ModuleDefinition, architecture: Architecture, head: Head, devices: Devices, reading: Reading
) -> DocumentPass:
    """Log probabilities `[documents, classes]` by the classifier `definition`."""

    def value_of(parameters: Tree, statistics: Tree, vectors: jax.Array) -> jax.Array:
        return head.log_probabilities(definition.bind(parameters, statistics).head(vectors))

    def encoder_of(parameters: Tree, statistics: Tree) -> AwdLstm:
        return definition.bind(parameters, statistics).encoder

    return DocumentPass(encoder_of, value_of, architecture, head.n_classes, devices, reading, head.all_layers)


def vector_pass(
    architecture: Architecture, dtype: DTypeLike, devices: Devices, reading: Reading, head: Head | None = None
) -> DocumentPass:
    """Vectors `[documents, features]`, what `head` gets; by default last output, maximum and mean of the last layer.

    Of the parameters it takes the branch `encoder`, with products of `dtype`, and no statistics.
    """
    head = head or Head(1)
    encoder = ModuleDefinition(lambda rngs: AwdLstm(architecture, dtype=dtype, rngs=rngs))
    return DocumentPass(
        lambda parameters, statistics: encoder.bind(parameters["encoder"]),
        lambda parameters, statistics, vectors: vectors,
        architecture,
        head.features(architecture),
        devices,
        reading,
        head.all_layers,
    )


def _collect(result: np.ndarray, vectors: Any, values: list[tuple[np.ndarray, Any]]) -> int:
    """Wait for a block, so that few are under way at a time, and write down what it has given: for how many
    documents."""
    jax.block_until_ready(vectors)
    count = 0
    for documents, found in values:
        true_rows = documents >= 0
        result[documents[true_rows]] = Devices.join_rows(np.asarray(found), 0)[true_rows]
        count += int(true_rows.sum())
    return count
