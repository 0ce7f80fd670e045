"""Encoding whole documents chunk by chunk, with the state carried on: back-propagation through time for classification.

A document of n tokens is cut into chunks of `bptt` tokens. The state runs through all of them; gradients stay within a
chunk and only the last `max_chunks` chunks are pooled and give gradients (fastai's `SentenceEncoder`, the paper's
BPT3C). Earlier chunks run forward only, to warm the state.

The layout, made by `ulmfit_jax.data`: tokens `[chunks, bptt, batch]`, every document ends in the last chunk. Chunks
before a document's first are padding and leave its state at zero; the padding after its last token is masked by its
length. A chunk that is padding in all rows is skipped at run time, so that a batch may have more chunks than it needs:
few shapes, hence few compiled programs, cost little time. On a CPU, which multiplies 32 rows as fast as 64, each group
of 32 rows is skipped by itself: sorted by length, the shorter half of a batch does not wait for the longer one.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ulmfit_jax.nn.awd_lstm import AwdLstm, EncoderState, Noise

MAX_LENGTH = 1440
"""Tokens at a document's end that are pooled and trained on: fastai's `max_len`, 20 chunks of 72."""


GROUP_ROWS = 32
"""Rows that are skipped together on a CPU."""


def row_groups(batch: int) -> int:
    """Groups of a batch's rows that are skipped together: one on accelerators, which gain nothing from small ones, and
    where the batch has no size yet (in a program that is exported for any)."""
    divided = isinstance(batch, int) and batch % GROUP_ROWS == 0
    return batch // GROUP_ROWS if divided and jax.default_backend() == "cpu" else 1


class EncodedDocuments(NamedTuple):
    """Encoder outputs of a batch of documents.

    Attributes:
        outputs: `[time, batch, features]` of the pooled chunks, zero where a document had not started.
        started: `[time, batch]` bool: chunk belongs to the document (its padding at the end included).
        valid: `[time, batch]` bool: position holds a token of the document.
        lower: sums over a document's pooled tokens of what the layers below the last read, `[batch, lower features]`;
            no features unless they are asked for.
    """

    outputs: Array
    started: Array
    valid: Array
    lower: Array


def encode_documents(
    encoder: AwdLstm,
    tokens: Array,
    lengths: Array,
    noise: Noise | None = None,
    max_length: int = MAX_LENGTH,
    all_layers: bool = False,
    perturbation: Array | None = None,
) -> EncodedDocuments:
    """Run the encoder over documents of any length.

    Args:
        encoder: the encoder; each chunk is a forward pass of its own, with new dropout masks.
        tokens: `[chunks, bptt, batch]` int32, laid out as described above.
        lengths: tokens of each document, `[batch]` int32; 0 for a filler row.
        noise: what dropout draws from; None for a deterministic pass.
        max_length: tokens to pool at the end, cut down to whole chunks (at least one).
        all_layers: give `lower`.
        perturbation: added to the embedded tokens of the pooled chunks, `[pooled chunks, bptt, batch, embedding]`; what
            it says of padding is not read.

    Returns:
        Outputs and masks of the last chunks, with time `min(chunks, max_length // bptt) * bptt`.
    """
    chunks, bptt, batch = tokens.shape
    warm = chunks - pooled_chunks(chunks, bptt, max_length)
    first_chunk = first_chunks(lengths, chunks, bptt)
    groups = row_groups(batch)

    def step(state: EncoderState, item: tuple[Array, Array, Array | None]) -> tuple[EncoderState, tuple[Array, Array]]:
        index, chunk, pushed = item
        started = index >= first_chunk
        chunk_noise = noise and noise._replace(key=jax.random.fold_in(noise.key, index))
        active = started.reshape(groups, -1).any(axis=1)
        read = holds_token(token_places(index[None], first_chunk, bptt), lengths)[..., None]
        if pushed is not None:
            pushed = jnp.where(read, pushed, jnp.float32(0))
        (*below, outputs), new_state = encoder.every_layer(
            chunk, lax.stop_gradient(state), chunk_noise, active=active, perturbation=pushed
        )
        sums = [jnp.where(read, features, jnp.float32(0)).sum(axis=0) for features in below if all_layers]
        new_state = jax.tree.map(lambda array: jnp.where(started[:, None], array, jnp.float32(0)), new_state)
        lower = jnp.concatenate([jnp.zeros((batch, 0), jnp.float32), *sums], axis=-1)
        return new_state, (jnp.where(started[None, :, None], outputs, jnp.float32(0)), lower)

    indices = jnp.arange(chunks, dtype=jnp.int32)
    state = encoder.initial_state(batch)
    if warm:
        state, _ = lax.scan(lambda s, c: (step(s, c)[0], None), state, (indices[:warm], tokens[:warm], None))
        state = lax.stop_gradient(state)
    _, (outputs, lower) = lax.scan(step, state, (indices[warm:], tokens[warm:], perturbation))

    places = token_places(indices[warm:], first_chunk, bptt)
    return EncodedDocuments(
        outputs=outputs.reshape(-1, batch, outputs.shape[-1]),
        started=places >= 0,
        valid=holds_token(places, lengths),
        lower=lower.sum(axis=0),
    )


def first_chunks(lengths: Array, chunks: int, bptt: int) -> Array:
    """The number of each document's first chunk, `[batch]` int32; `chunks` for a filler row."""
    return chunks - -(-lengths // bptt)


def token_places(indices: Array, first_chunk: Array, bptt: int) -> Array:
    """Which token of its document, from 0, stands at each position of the chunks `indices`, `[time, batch]` int32.

    Below 0 before the document's first chunk, its length or more in the padding after its last token.
    """
    begins = indices[:, None] - first_chunk[None]
    places = begins[:, None] * bptt + jnp.arange(bptt, dtype=jnp.int32)[None, :, None]
    return places.reshape(-1, first_chunk.shape[0])


def holds_token(places: Array, lengths: Array) -> Array:
    """Whether a position holds a token of its document, `[time, batch]` bool."""
    return (places >= 0) & (places < lengths[None])


def pooled_chunks(chunks: int, bptt: int, max_length: int) -> int:
    """How many of a batch's last chunks are pooled and give gradients."""
    return min(chunks, max(max_length // bptt, 1))


def concat_pool(documents: EncodedDocuments) -> Array:
    """Concat pooling over a document's own tokens: `[batch, 3 * features]` = last output, maximum, mean; then the means
    of the lower layers, where they were asked for.

    Padding never counts: the last output is that of the last true token. (fastai reads a zero vector there for a text
    that lies wholly in the last, partial chunk of a wider batch; that is a defect, and it is not reproduced.) A filler
    row pools to zeros.
    """
    outputs, _, valid, lower = documents
    mask = valid[..., None]
    count = valid.sum(axis=0, dtype=jnp.int32)
    last_position = jnp.argmax(
        jnp.where(valid, jnp.arange(valid.shape[0], dtype=jnp.int32)[:, None], jnp.int32(-1)), axis=0
    )
    last = jnp.take_along_axis(outputs, last_position[None, :, None], axis=0)[0]
    maximum = jnp.max(jnp.where(mask, outputs, jnp.float32(-jnp.inf)), axis=0)
    divisor = jnp.maximum(count, 1).astype(jnp.float32)[:, None]
    mean = jnp.where(mask, outputs, jnp.float32(0)).sum(axis=0) / divisor
    pooled = jnp.concatenate([last, maximum, mean, lower / divisor], axis=-1)
    return jnp.where((count > 0)[:, None], pooled, jnp.float32(0))


def activation_penalties(
    documents: EncodedDocuments, activation: float, temporal: float, axis_name: str | None = None
) -> Array:
    """AR and TAR of a batch of documents, as fastai's `RNNRegularizer` gives them for classifiers.

    Both act on the padded outputs of the whole batch: `activation` times the mean square, `temporal` times the mean
    square change from step to step. The means run from the first chunk of the longest document to the last step at
    which some document has a token, so that rounding the batch up to a static shape changes nothing; where the batch is
    spread over `axis_name`, the documents of all shares decide, so that the mean over equal shares is the penalty of
    the batch.
    """
    outputs, started, valid, _ = documents
    time, batch, features = outputs.shape
    begun, going_on = started.any(axis=1), lax.cummax(valid.any(axis=1).astype(jnp.int32), reverse=True) > 0
    if axis_name:
        begun, going_on = (lax.pmax(array.astype(jnp.int32), axis_name) > 0 for array in (begun, going_on))
    in_batch = begun & going_on
    steps = jnp.maximum(in_batch.sum(dtype=jnp.int32), 1).astype(jnp.float32)
    total = (
        activation
        * jnp.square(jnp.where(in_batch[:, None, None], outputs, jnp.float32(0))).sum()
        / (steps * batch * features)
    )
    if temporal and time > 1:
        both = in_batch[:-1] & in_batch[1:]
        change = jnp.where(both[:, None, None], outputs[1:] - outputs[:-1], jnp.float32(0))
        total = total + temporal * jnp.square(change).sum() / (jnp.maximum(steps - 1, 1) * batch * features)
    return total
