"""`ulmfit perplexity`: how well a language model foretells texts."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_json, add_reading_options
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.cli.predict import add_texts, texts_of
from ulmfit_jax.counted import counted

SUMMARY = "measure how well a language model foretells texts"

DESCRIPTION = """\
Print the perplexity of a language model over texts: between how many pieces it hesitates, on average, before each
piece of its own tokeniser. Lower is better; 1 would be certainty. Compare it only between models with the same
tokeniser, such as a language model before and after it was fine-tuned on your texts.

FILE is what `ulmfit predict` takes; without FILE, lines are read from standard input, each a text.
"""

EXAMPLES = """\
examples:
  ulmfit perplexity wikipedia-small-forward letters.txt
  ulmfit perplexity run/language_model letters.txt
  ulmfit perplexity run/language_model --text "The kettle is quiet." --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit perplexity`."""
    parser.add_argument("model", metavar="DIR|NAME", help="folder of a language model, or the name of a shipped one")
    add_texts(parser)
    add_json(parser)
    add_reading_options(parser, labels=False, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Load, read, measure, print."""
    from ulmfit_jax.language_model import LanguageModel

    model = LanguageModel.load(options.model)
    texts = list(texts_of(options))
    perplexity = model.perplexity(texts)
    if options.json:
        show_json({"perplexity": perplexity, "n": len(texts), "model": options.model, "data": options.data})
    else:
        show(f"perplexity {perplexity:,.2f} per token   {counted(len(texts), 'text')}")
