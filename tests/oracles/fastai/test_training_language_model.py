"""Twenty steps of language-model training, dropout off, against fastai's learner: Adam, decay, clipping, one-cycle,
freezing, the carried state and its reset at each epoch."""

from __future__ import annotations

import numpy as np
import pytest

from oracles.fastai.fits import assert_same_fit, fastai_fit, our_fit
from oracles.fastai.learners import stream_batch
from oracles.fastai.networks import BPTT, LANGUAGE_MODEL, SIZES, drawn, fastai_language_model
from oracles.fastai.reference import fastai
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import language_model_stages
from ulmfit_jax.training.stages import Stage

ROWS, EPOCHS = 4, 2

FROZEN = Stage("frozen", EPOCHS, 1e-2, freeze_to=-1, weight_decay=0.1, max_norm=0.25)
ALL = Stage("all", EPOCHS, 5e-3, weight_decay=0.1, max_norm=0.25)
SLICED = Stage("sliced", EPOCHS, (1e-3, 1e-2), weight_decay=0.1)
BRIEF = language_model_stages(epochs=1, frozen_epochs=1, max_norm=0.25)


def stream() -> LanguageModelStream:
    """Ten batches an epoch, in another order of the documents in each, the last of them shorter."""
    random = np.random.default_rng(8)
    documents = np.split(random.integers(2, SIZES.vocabulary_size, ROWS * (10 * BPTT - 3) + 1), [9, 50, 120, 170, 260])
    corpus = Corpus.from_arrays([document.astype(np.int32) for document in documents])
    return LanguageModelStream(corpus, ROWS, BPTT, shuffle=True, seed=1)


@pytest.mark.parametrize("stages", [[FROZEN], [ALL], [SLICED], BRIEF], ids=["frozen", "all", "sliced", "recipe"])
def test_twenty_steps_are_fastai_s(stages: list[Stage]) -> None:
    parameters, statistics = drawn(LANGUAGE_MODEL)
    source = stream()
    task = LanguageModelTask(SIZES, source, None, Devices(1), drop_mult=0.0)
    ours = our_fit(task, stages, (parameters, statistics))
    epochs = [[stream_batch(*batch) for batch in source.epoch(epoch)] for epoch in range(EPOCHS)]
    expected = fastai_fit(fastai_language_model(parameters), epochs, stages, fastai.awd_lstm_lm_split)
    assert len(ours.losses) == 20
    assert_same_fit(ours, expected)
