"""`ulmfit explain`: which words a classifier decides by."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import add_model, add_reading_options
from ulmfit_jax.cli.console import colours_are_shown, show, show_json
from ulmfit_jax.cli.predict import add_texts, texts_of
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.inference.explain import Explanation

SUMMARY = "show which words a classifier decides by"

DESCRIPTION = """\
For each text, print the label, its probability, the text, and the words that speak most for the label and against it.
On a terminal the words are coloured: blue speaks for the label, orange against it.

An importance is measured on the label's log odds, the logarithm of its probability over that of all others: the slope
in the word's embedding times the embedding (gradient, two passes over the text), or what the log odds lose when the
word is left out (leave-out, one pass for each word). The two often disagree: for a finding that matters take leave-out.

An ensemble (two directions, --ngrams) is explained by leaving words out: what all members say together without them.
One of them by itself, DIR/model/member-0, may answer otherwise.

FILE is what `ulmfit predict` takes; without FILE, lines are read from standard input.
"""

EXAMPLES = """\
examples:
  ulmfit explain run --text "What a lovely surprise."
  ulmfit explain run letters.txt --label complaint --method leave-out
  ulmfit explain run reviews.csv --text-column body --json > words.jsonl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit explain`."""
    add_model(parser)
    add_texts(parser)
    parser.add_argument(
        "--method", choices=("gradient", "leave-out"), help="default: gradient, of an ensemble leave-out; see above"
    )
    parser.add_argument("--label", metavar="L", help="the label to explain; default: the most probable one")
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each text: text, label, probability, words"
    )
    add_reading_options(parser, labels=False, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Load, then explain text after text."""
    from ulmfit_jax.ensemble import load_classifier
    from ulmfit_jax.pretrained import model_folder

    model = load_classifier(options.model, devices=1)
    if not model.explanation_methods:
        member = model_folder(options.model) / "member-0"
        raise ConfigError(f"the members of this ensemble read different tokens: explain one of them, such as {member}")
    method = (options.method or model.explanation_methods[0]).replace("-", "_")
    if method not in model.explanation_methods:
        raise ConfigError("an ensemble is explained by leaving words out: give --method leave-out, or no method")
    for text in texts_of(options):
        explanation = model.explain(text, options.label, method)
        if options.json:
            show_json(_as_json(text, explanation))
        else:
            show(_for_people(explanation))
        sys.stdout.flush()


def _as_json(text: str, explanation: Explanation) -> dict[str, object]:
    pairs = zip(explanation.words, explanation.importances, strict=True)
    return {
        "text": text,
        "label": explanation.label,
        "probability": explanation.probability,
        "words": [{"word": word, "importance": importance} for word, importance in pairs],
    }


def _for_people(explanation: Explanation) -> str:
    from ulmfit_jax.inference.coloured import strongest, to_terminal

    text = to_terminal(explanation) if colours_are_shown() else " ".join(explanation.words)
    lines = [f"{explanation.label} {explanation.probability:.3f}", f"  {text}"]
    for name, words in zip(("for", "against"), strongest(explanation), strict=True):
        if words:
            lines.append(f"  {name}: " + ", ".join(f"{word} {importance:+.2g}" for word, importance in words))
    return "\n".join(lines)
