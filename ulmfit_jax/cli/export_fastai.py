"""`ulmfit export-fastai`: a model folder as files that fastai loads."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_model
from ulmfit_jax.cli.console import show

SUMMARY = "write a model for fastai"

DESCRIPTION = """\
Write a language model, an encoder or a classifier as FILE.pth, a torch state dictionary with the names of fastai 2, and
its words as FILE_vocab.pkl; a classifier's classes go to FILE_labels.pkl and a model of pieces to FILE_spm.model. Print
the files' names. Needs the extra `fastai`, which is torch.

In fastai: model.load_state_dict(torch.load('FILE.pth')), learn.load_encoder('FILE') after --encoder, or
language_model_learner(..., pretrained_fnames=['FILE', 'FILE_vocab']), with config for other sizes than fastai's own.
"""

EXAMPLES = """\
examples:
  ulmfit export-fastai run --out models/reviews.pth
  ulmfit export-fastai run --encoder --out models/reviews_encoder.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit export-fastai`."""
    add_model(parser)
    parser.add_argument("--out", dest="file", metavar="FILE.pth", required=True, help="file to write")
    parser.add_argument("--encoder", action="store_true", help="write the encoder alone, for learn.load_encoder")


def run(options: argparse.Namespace) -> None:
    """Load, write, name the files."""
    from ulmfit_jax.artifact import load_artifact
    from ulmfit_jax.interop import export_fastai
    from ulmfit_jax.pretrained import model_folder

    for path in export_fastai(load_artifact(model_folder(options.model)), options.file, encoder_only=options.encoder):
        show(str(path))
