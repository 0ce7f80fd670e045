"""Which words of a text speak for a class: gradient times embedding, and leaving words out."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.counted import listed
from ulmfit_jax.data.batches import DocumentBatches, chunk_buckets
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.label_answers import tempered_labels
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.inference.temperature import tempered
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.text.grouping import word_groups
from ulmfit_jax.text.rules import PAD_ID
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.label_measures import log_complements
from ulmfit_jax.training.mapping import Devices

METHODS = ("gradient", "leave_out")

_FIRST_ROW = PAD_ID + 1
"""Rows of a document's own embedding table before that of its first token, so that none is padding."""


@dataclass(frozen=True)
class Explanation:
    """How much each word of a text speaks for a class.

    Attributes:
        words: the words of the text, as its tokens show them; none for a text without words.
        importances: one for each word, `[words]` float32: above 0 it speaks for the class, below against it. Measured
            on the class's lead, its log odds against the other classes together (against its absence, where a text may
            have several labels): the lead's slope in the embeddings of
            the word's tokens, times these (`gradient`), or what the lead loses when the word is left out (`leave_out`).
        label: the class.
        probability: of the class, from 0 to 1.
        method: `gradient` or `leave_out`.
    """

    words: tuple[str, ...]
    importances: np.ndarray
    label: str
    probability: float
    method: str

    def __str__(self) -> str:
        """The class, its probability, and the words with their importance."""
        pairs = zip(self.words, self.importances, strict=True)
        words = ", ".join(f"{word} {importance:+.2g}" for word, importance in pairs)
        return f"{self.label} {self.probability:.3f}: {words or '(no words)'}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the class, its probability, and the words in colour."""
        from ulmfit_jax.inference.coloured import to_html

        return f"<p>{html.escape(self.label)} {self.probability:.3f}</p><p>{to_html(self)}</p>"


_MOST_TOKENS = 2**22
"""Of all texts without one of their words that are held in memory at a time: of a long text there are many."""


class LeaveOutExplainer:
    """Explains answers of any model that gives probabilities to tokens, by what they are without each word."""

    methods: tuple[str, ...] = (METHODS[1],)
    """The methods that there are, the default first."""

    def __init__(
        self,
        labels: Sequence[str],
        tokenizer: Tokenizer,
        log_probabilities: Callable[[Corpus], np.ndarray],
        temperature: float,
        multi_label: bool,
    ):
        """Bind a model.

        Args:
            labels: names of its classes.
            tokenizer: makes tokens of a text.
            log_probabilities: of documents, `[documents, classes]` before calibration.
            temperature: of its calibration.
            multi_label: whether a text may have several labels.
        """
        self._labels, self._tokenizer, self._log_probabilities = list(labels), tokenizer, log_probabilities
        self._temperature, self._multi_label = temperature, multi_label

    def explain(self, text: str, label: str | None = None, method: str | None = None) -> Explanation:
        """Importance of each word of `text` for the class `label`, by default the most probable one.

        Raises:
            ConfigError: there is no such method or class.
        """
        method = self.methods[0] if method is None else method
        if method not in self.methods:
            raise ConfigError(f"method is {method!r}: this model is explained by {' or '.join(self.methods)}")
        if label is not None and label not in self._labels:
            raise ConfigError(f"there is no label {label!r}: the classes are {listed(self._labels)}")
        ids = self._tokenizer.encode(text)
        groups = word_groups(self._tokenizer, ids)
        whole = self._log_probabilities(Corpus.from_arrays([ids]))[0]
        target = int(whole.argmax()) if label is None else self._labels.index(label)
        importances = self._importances(method, ids, [group for _, group in groups], target, whole)
        as_probabilities = tempered_labels if self._multi_label else tempered
        probability = float(as_probabilities(whole[None], self._temperature)[0, target])
        return Explanation(tuple(word for word, _ in groups), importances, self._labels[target], probability, method)

    def _importances(
        self, method: str, ids: np.ndarray, words: list[list[int]], target: int, whole: np.ndarray
    ) -> np.ndarray:
        """One for each word, of which the positions are given; `whole`: log probabilities of the whole text."""
        if not words:
            return np.zeros(0, np.float32)
        at_a_time = max(_MOST_TOKENS // len(ids), 1)
        blocks = (words[start : start + at_a_time] for start in range(0, len(words), at_a_time))
        leads = np.concatenate([self._leads(self._without(ids, block), target) for block in blocks])
        return (self._leads(whole[None], target) - leads).astype(np.float32)

    def _without(self, ids: np.ndarray, words: list[list[int]]) -> np.ndarray:
        """Log probabilities `[words, classes]` of the text without each of these words."""
        return self._log_probabilities(Corpus.from_arrays([np.delete(ids, word) for word in words]))

    def _leads(self, log_probabilities: np.ndarray, target: int) -> np.ndarray:
        """Log odds of a class, `[documents]` float64."""
        if self._multi_label:
            own = log_probabilities[:, target]
            return own.astype(np.float64) - log_complements(own)
        return _leads(log_probabilities, target)


class Explainer(LeaveOutExplainer):
    """Explains answers of a classifier.

    The gradient costs two passes over the text whatever its length, and sees each word in small steps of its embedding;
    leaving words out costs a pass for each word, and sees what really happens without it. The two agree little
    (measured: `experiments/README.md`).
    """

    methods = METHODS

    def __init__(self, artifact: Artifact, predictor: Predictor | None = None):
        """Bind a classifier; `predictor` is one that is bound to it already.

        Raises:
            ArtifactError: the model is not a classifier.
        """
        predictor = predictor or Predictor(artifact, Devices.alone())
        super().__init__(
            artifact.labels,
            artifact.tokenizer,
            predictor.log_probabilities,
            artifact.temperature,
            artifact.multi_label,
        )
        self._artifact = artifact
        self._bptt = int(artifact.settings.get("bptt", 72))
        self._max_length = int(artifact.settings.get("max_length", MAX_LENGTH))
        assert artifact.head is not None  # or there were no predictor
        definition = classifier_definition(artifact.architecture, artifact.head)

        def lead(table: jax.Array, tokens: jax.Array, lengths: jax.Array, target: jax.Array) -> jax.Array:
            parameters: Tree = {
                **artifact.parameters,
                "encoder": {**artifact.parameters["encoder"], "embedding": table},
            }
            network = definition.bind(parameters, artifact.statistics)
            scores = network.scores(tokens, lengths, self._max_length)[0]
            if artifact.multi_label:
                return scores[target]
            others = jnp.where(jnp.arange(scores.shape[0]) == target, -jnp.inf, scores)
            return scores[target] - jax.nn.logsumexp(others)

        self._slope: Any = jax.jit(jax.grad(lead))

    def _importances(
        self, method: str, ids: np.ndarray, words: list[list[int]], target: int, whole: np.ndarray
    ) -> np.ndarray:
        if method == "gradient":
            return self._gradient(ids, words, target)
        return super()._importances(method, ids, words, target, whole)

    def _gradient(self, ids: np.ndarray, words: list[list[int]], target: int) -> np.ndarray:
        """Every position gets a row of its own in the embedding table, so that the table's gradient tells them apart.

        Up to `max_length` tokens the document is one chunk, or gradients would end at the chunks' borders.
        """
        embedding = np.asarray(self._artifact.parameters["encoder"]["embedding"])
        chunks = next(count for count in chunk_buckets(-(-len(ids) // self._bptt)) if count * self._bptt >= len(ids))
        bptt = self._bptt
        if len(ids) <= self._max_length // bptt * bptt:
            bptt, chunks = min(bptt * chunks, self._max_length // bptt * bptt), 1
        table = np.zeros((_FIRST_ROW + bptt * chunks, embedding.shape[1]), np.float32)
        table[_FIRST_ROW : _FIRST_ROW + len(ids)] = embedding[ids]
        rows = Corpus.from_arrays([np.arange(len(ids), dtype=np.int32) + _FIRST_ROW])
        batch = next(DocumentBatches(rows, None, 1, bptt, self._artifact.backwards, buckets=(chunks,)).evaluation())
        slope = np.asarray(self._slope(table, batch.tokens, batch.lengths, target))
        products = (slope * table).sum(axis=1)[_FIRST_ROW:]
        return np.array([products[word].sum() for word in words], np.float32)


def _leads(log_probabilities: np.ndarray, target: int) -> np.ndarray:
    """Log odds of a class against the others together, `[documents]` float64."""
    others = np.delete(log_probabilities.astype(np.float64), target, axis=1)
    return log_probabilities[:, target] - np.logaddexp.reduce(others, axis=1)
