"""Subword regularisation (Kudo 2018): does it help to read each training text in several segmentations into pieces?

    python experiments/piece_sampling.py DATA/trec6/train.jsonl --documents 500 --valid-documents 2000 --repeats 3

A classifier of `recipe="fine_tune"`, from the encoder of --model as it is, reads --copies of each text in one epoch of
the head and one of all layers, in batches that suit the number of texts. In the first row of the table the copies are
the same; in the others each is segmented anew, drawn from all that there are with their probability to the power of
alpha: the smaller it is, the rarer pieces come. Other texts are always in their most probable segmentation. Each repeat
draws other documents.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from compare_recipes import Measures, add_drawing, compare, draws
from running import run_or_explain
from ulmfit_jax import LanguageModel, TextClassifier
from ulmfit_jax.artifact import Artifact, load_artifact
from ulmfit_jax.data import TextDataset
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text.rules import UNK, UNK_ID
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.training.scaling import classifier_batch_size


class SampledPieces(SentencePieceTokenizer):
    """A tokeniser that draws the segmentation of each word, anew each time."""

    def __init__(self, model_proto: bytes, alpha: float) -> None:
        super().__init__(model_proto)
        self.alpha = alpha

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`."""
        return self._encoder.encode_plainly(text)

    def _encode_words(self, words: list[str]) -> list[list[int]]:
        sample = self._processor.SampleEncodeAsIds
        return [[UNK_ID] if word == UNK else sample(word, -1, self.alpha) for word in words]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawing(parser)
    parser.add_argument("--model", default="wikipedia-small-forward", help="language model over pieces to start from")
    parser.add_argument("--copies", type=int, default=4, help="of each text to train on")
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.5, 0.2, 0.1], help="1: as probable as they are")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products; bfloat16 where it is fast")
    parser.set_defaults(task="classifier")
    return parser.parse_args()


@cache
def starting_point(model: str) -> tuple[Artifact, SentencePieceTokenizer]:
    """A language model and its tokeniser.

    Raises:
        ConfigError: it is over words.
    """
    artifact = load_artifact(model_folder(model), "language_model")
    if not isinstance(artifact.tokenizer, SentencePieceTokenizer):
        raise ConfigError(f"--model {model} is over words, which have one segmentation: give one over pieces")
    return artifact, artifact.tokenizer


def measure(
    options: argparse.Namespace, chosen: dict[str, Any], data: tuple[TextDataset, TextDataset], seed: int
) -> Measures:
    """Train one classifier on pieces drawn with `chosen["alpha"]`, None for the most probable ones, and measure it."""
    train, valid = data
    start, tokenizer = starting_point(options.model)
    if (alpha := chosen["alpha"]) is not None:
        sentencepiece.set_random_generator_seed(seed)
        start = replace(start, tokenizer=SampledPieces(tokenizer.model_proto, alpha))
    model = TextClassifier(
        LanguageModel.from_artifact(start, options.model),
        recipe="fine_tune",
        lm_epochs=0,
        epochs=(1, 1),
        batch_size=classifier_batch_size(len(train)),
        validation_fraction=0.0,
        precision=options.precision,
        seed=seed,
    )
    model.fit(train.texts * options.copies, list(train.labels or []) * options.copies)
    history = model.history_
    with TemporaryDirectory() as folder:  # a model folder keeps the pieces, not the drawing
        model.save(Path(folder) / "model")
        model = TextClassifier.load(Path(folder) / "model", precision=options.precision)
    result = model.evaluate(valid.texts, valid.labels or [])
    return {"error, %": 100 * result["error"], "loss": result["loss"], "training loss": history[-1]["train_loss"]}


def main() -> None:
    """Every alpha on every draw, a row of the table each."""
    options = arguments()
    if options.copies < 1 or min(options.alphas) < 0:
        raise ConfigError("--copies has to be 1 or more, --alphas 0 or more")
    starting_point(options.model)
    sampled = [(f"alpha {alpha:g}", {"alpha": alpha}) for alpha in options.alphas]
    compare(options, measure, [("the most probable pieces", {"alpha": None}), *sampled], draws(options))


if __name__ == "__main__":
    run_or_explain("piece_sampling", main)
