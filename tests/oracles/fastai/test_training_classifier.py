"""Training the classifier, dropout off, against fastai's learner: every stage of the gradual unfreezing for 21 steps
from the same state, and the whole recipe.

In each batch the longest document has a whole number of chunks. So fastai's batches are no narrower than ours, and its
defect in pooling and the intended differences 2 to 4 do not act.
"""

from __future__ import annotations

import numpy as np
import pytest

from oracles.fastai.fits import assert_same_fit, fastai_fit, our_fit
from oracles.fastai.learners import document_batch
from oracles.fastai.networks import BPTT, CLASSIFIER, HEAD, SIZES, drawn, fastai_classifier
from oracles.fastai.reference import fastai
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import gradual_unfreezing_stages
from ulmfit_jax.training.stages import Stage

LENGTHS = [48, 40, 33, 30, 25, 24, 24, 23, 17, 16, 9, 8, 8, 7, 6, 3, 2, 1]
"""Three batches of six, sorted; their widths are 6, 3 and 1 chunks of 8."""

MAX_LENGTH = 16
"""The first chunks of the wider batches only warm the state."""

STAGES = gradual_unfreezing_stages(epochs=(7, 7, 7, 7), weight_decay=0.1)
RECIPE = gradual_unfreezing_stages(epochs=(1, 2, 1, 3), weight_decay=0.1)


def documents() -> DocumentBatches:
    random = np.random.default_rng(9)
    texts = [random.integers(2, SIZES.vocabulary_size, length).astype(np.int32) for length in LENGTHS]
    labels = random.integers(0, HEAD.n_classes, len(texts))
    return DocumentBatches(Corpus.from_arrays(texts), labels, 6, BPTT, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages", [*([stage] for stage in STAGES), RECIPE], ids=[*(stage.name for stage in STAGES), "recipe"]
)
def test_every_stage_of_the_gradual_unfreezing_is_fastai_s(stages: list[Stage]) -> None:
    start, source = drawn(CLASSIFIER), documents()
    task = ClassifierTask(
        SIZES, HEAD, source, None, Devices(1), drop_mult=0.0, max_length=MAX_LENGTH, fresh_statistics=False
    )
    ours = our_fit(task, stages, start)
    batches = [list(source.training_epoch(epoch)) for epoch in range(7)]
    assert all(batch.lengths[0] % BPTT == 0 for epoch in batches for batch in epoch)
    epochs = [[document_batch(batch) for batch in epoch] for epoch in batches]
    model = fastai_classifier(*start, max_length=MAX_LENGTH)
    expected = fastai_fit(model, epochs, stages, fastai.awd_lstm_clas_split)
    assert len(ours.losses) == 21
    assert_same_fit(ours, expected)
