"""`ulmfit generate`: text from a language model."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_seed, positive_number, share, whole_number
from ulmfit_jax.cli.console import show
from ulmfit_jax.errors import ConfigError

SUMMARY = "let a language model continue a text"

DESCRIPTION = """\
Print texts that a language model makes up, one after the other, each beginning with a prompt. It is the quickest look
at what a model has learnt from its texts. With --stream, a text appears while it is written.

Pieces are drawn by their probabilities, or, with --beams, the most probable text is searched for: --temperature and
--seed count for nothing then, and --min-p, --top-k and --top-p are to be left out. Long ones repeat themselves:
--no-repeat 4 helps.
"""

EXAMPLES = """\
examples:
  ulmfit generate wikipedia-small-forward --prompt "The city of" --words 60
  ulmfit generate run/language_model --prompt "I liked this movie because" --samples 3 --temperature 0.75
  ulmfit generate run/language_model --prompt "The plot" --prompt "The actors" --beams 5 --no-repeat 4
  ulmfit generate wikipedia-small-forward --prompt "The river" --words 300 --stream
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit generate`."""
    parser.add_argument("model", metavar="DIR|NAME", help="folder of a language model, or the name of a shipped one")
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="P",
        help="how the text begins; given several times, a text for each, written side by side",
    )
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
        "--min-p",
        type=share,
        default=0.0,
        metavar="P",
        help="never draw a piece whose probability is below P (default: %(default)s)",
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
        "--no-repeat",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="no run of N pieces comes twice, such as 4; 0 for no limit (default: %(default)s)",
    )
    parser.add_argument(
        "--beams",
        type=whole_number(0),
        default=0,
        metavar="B",
        help="search for the most probable text with B candidates side by side instead of drawing (default: "
        "%(default)s, draw)",
    )
    parser.add_argument(
        "--stream", action="store_true", help="print each text while it is written, one text after the other"
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

    if options.beams and (options.stream or options.samples > 1):
        raise ConfigError(
            "--beams finds one text a prompt, when it is finished: leave --stream and --samples out, or --beams"
        )
    model = LanguageModel.load(options.model)
    prompts = [prompt for prompt in options.prompt or [""] for _ in range(options.samples)]
    limits = {name: getattr(options, name) for name in ("top_k", "top_p", "no_repeat", "stop")}
    draw = (options.words, options.temperature, options.min_p)
    if options.stream:
        for number, prompt in enumerate(prompts):
            for piece in model.stream(prompt, *draw, (options.seed + number) % 2**32, **limits):
                show(piece, end="")
            show("")
        return
    for text in model.generate(prompts, *draw, options.seed, beams=options.beams, **limits):
        show(text)
