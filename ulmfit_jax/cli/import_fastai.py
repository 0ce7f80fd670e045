"""`ulmfit import-fastai`: a language model that fastai saved, as a model folder."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_json
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.counted import counted

SUMMARY = "make a model folder of fastai's weights"

DESCRIPTION = """\
Read a language model, or an encoder, that fastai 2, fastai 1 or fastai 0.7 has saved, and write it as a model folder
for ulmfit train --pretrained DIR. Texts are then cut into words as that version of fastai cuts them, which needs the
extra `spacy`. The files are read as data: nothing in them is executed, and torch is not needed.

WEIGHTS is the .pth or .h5 file of learn.save or learn.save_encoder. VOCAB is the pickled list of words: the itos.pkl
beside published weights, or what you write in fastai with
  pickle.dump(list(learn.dls.vocab), open("itos.pkl", "wb"))      # learn.dls.vocab[0] where learn is a classifier
The words must be in the order of the weights' rows. The file of learn.export, and classifiers, are not read: in fastai,
load_learner(FILE) and then learn.save_encoder. An encoder alone serves as a classifier's start; only a language model
can be fine-tuned on your texts first.
"""

EXAMPLES = """\
examples:
  ulmfit import-fastai lstm_fwd.pth itos_wt103.pkl --out wt103
  ulmfit import-fastai lstm_bwd.pth itos_wt103.pkl --out wt103-backwards --backwards
  ulmfit import-fastai german.pth german_itos.pkl --language de --out german
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit import-fastai`."""
    parser.add_argument("weights", metavar="WEIGHTS", help="weights that fastai saved (.pth, .h5)")
    parser.add_argument("vocabulary", metavar="VOCAB", help="the words that belong to them (.pkl)")
    parser.add_argument("--out", dest="place", metavar="DIR", required=True, help="model folder to write; a new one")
    parser.add_argument(
        "--language", default="en", metavar="L", help="language of the words, as spaCy names it (default: %(default)s)"
    )
    parser.add_argument("--backwards", action="store_true", help="the model reads from the end to the beginning")
    parser.add_argument(
        "--rules",
        choices=("fastai-2", "fastai-1", "fastai-0.7"),
        help="text rules of the words (default: recognised by the special tokens)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Read, write, say what it was."""
    from pathlib import Path

    from ulmfit_jax.artifact import save_artifact
    from ulmfit_jax.artifact.place import refuse_existing
    from ulmfit_jax.interop import import_fastai

    refuse_existing(options.place)
    artifact = import_fastai(
        options.weights,
        options.vocabulary,
        language=options.language,
        backwards=options.backwards,
        rules=options.rules,
    )
    save_artifact(artifact, Path(options.place))
    sizes, rules = artifact.architecture, artifact.provenance["imported_from"]["text_rules"]
    if options.json:
        show_json({"model": options.place, "kind": artifact.kind, "rules": rules, **sizes.to_dict()})
    else:
        show(
            f"{options.place}: {artifact.kind.replace('_', ' ')} of {rules}, {sizes.vocabulary_size:,} words, "
            f"{counted(sizes.n_layers, 'layer')}, {sizes.hidden_size} hidden and {sizes.embedding_size} embedding "
            "features"
        )
