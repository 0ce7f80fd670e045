"""`ulmfit generate`: text from a language model."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_seed, positive_number, share, whole_number
from ulmfit_jax.cli.console import show

SUMMARY = "let a language model continue a text"

DESCRIPTION = """\
Print texts that a language model makes up, one after the other, each beginning with the prompt. It is the quickest look
at what a model has learnt from its texts.
"""

EXAMPLES = """\
examples:
  ulmfit generate wikipedia-small --prompt "The city of" --words 60
  ulmfit generate run/language_model --prompt "I liked this movie because" --samples 3 --temperature 0.75
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit generate`."""
    parser.add_argument("model", metavar="DIR|NAME", help="folder of a language model, or the name of a shipped one")
    parser.add_argument("--prompt", default="", metavar="P", help="how the text begins")
    parser.add_argument(
        "--words", type=whole_number(1), default=40, metavar="N", help="words to add at the most (default: %(default)s)"
    )
    parser.add_argument(
        "--temperature",
        type=positive_number,
        default=0.75,
        metavar="T",
        help="1 draws as the model believes, less prefers likely words (default: %(default)s)",
    )
    parser.add_argument(
        "--min-p", type=share, default=0.0, metavar="P", help="never draw a less probable piece (default: %(default)s)"
    )
    parser.add_argument(
        "--top-k",
        type=whole_number(0),
        default=0,
        metavar="K",
        help="draw from the K most probable pieces; 0 from all (default: %(default)s)",
    )
    parser.add_argument(
        "--top-p",
        type=positive_number,
        default=1.0,
        metavar="P",
        help="draw from the fewest pieces whose probabilities sum to P; 1 from all (default: %(default)s)",
    )
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end a text before this; may be given several times"
    )
    parser.add_argument(
        "--samples", type=whole_number(1), default=1, metavar="N", help="texts to print (default: %(default)s)"
    )
    add_seed(parser, "the first text; the next ones take the next numbers")


def run(options: argparse.Namespace) -> None:
    """Load, generate, print."""
    from ulmfit_jax.language_model import LanguageModel

    model = LanguageModel.load(options.model)
    samples = model.generate(
        [options.prompt] * options.samples,
        options.words,
        options.temperature,
        options.min_p,
        options.seed,
        top_k=options.top_k,
        top_p=options.top_p,
        stop=options.stop,
    )
    for sample in samples:
        show(sample)
