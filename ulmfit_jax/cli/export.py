"""`ulmfit export`: a model as a program that runs without this package, or its arrays for other libraries."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_model
from ulmfit_jax.cli.console import show

SUMMARY = "write a model as a StableHLO program or as safetensors"

DESCRIPTION = """\
Write a model for use without this package, and print the files' names. The ending of FILE says how; needs the extra
`export`.

FILE.stablehlo    one program for CPUs, CUDA and TPUs that holds the parameters: texts' probabilities of a classifier,
                  or the next token's logits of a language model with its state carried on. Beside it: FILE.json, which
                  describes it, FILE_tokenizer/, text_rules.py, and a reader of some 30 lines that needs jax,
                  flatbuffers, numpy and sentencepiece alone. For models with a SentencePiece tokeniser.
FILE.safetensors  the arrays by their names in the model folder, with config.json as metadata; FILE_tokenizer/
                  beside it.
"""

EXAMPLES = """\
examples:
  ulmfit export run --to reviews/model.stablehlo
  python reviews/classify.py reviews/model.json "What a lovely surprise."
  ulmfit export run --to reviews.safetensors
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit export`."""
    add_model(parser)
    parser.add_argument(
        "--to", dest="file", metavar="FILE", required=True, help="file to write, .stablehlo or .safetensors"
    )


def run(options: argparse.Namespace) -> None:
    """Load, write, name the files."""
    from pathlib import Path

    from ulmfit_jax.artifact import load_artifact
    from ulmfit_jax.errors import ConfigError
    from ulmfit_jax.interop import export_safetensors, export_stablehlo, safetensors_file, stablehlo_export
    from ulmfit_jax.pretrained import model_folder

    writers = {stablehlo_export.SUFFIX: export_stablehlo, safetensors_file.SUFFIX: export_safetensors}
    suffix = Path(options.file).suffix
    if suffix not in writers:
        raise ConfigError(f"--to is {options.file}: give a name that ends in {' or '.join(writers)}")
    for path in writers[suffix](load_artifact(model_folder(options.model)), options.file):
        show(str(path))
