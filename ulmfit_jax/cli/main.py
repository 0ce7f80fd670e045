"""The command `ulmfit`: finds the sub-command, runs it, and turns every mistake of a user into one sentence.

Exit codes: 0 done; 2 a mistake, named in one sentence on standard error; 130 interrupted, or 143 by SIGTERM; 141 nobody
reads the output.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import itertools
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import ulmfit_jax
from ulmfit_jax.cli import (
    calibrate,
    completion,
    doctor,
    ensemble,
    evaluate,
    explain,
    export,
    export_fastai,
    finetune_lm,
    generate,
    import_fastai,
    info,
    learn,
    lr_find,
    perplexity,
    predict,
    pretrain,
    serve,
    show,
    train,
)
from ulmfit_jax.cli.configuration import add_negations, parse_arguments, sub_parsers
from ulmfit_jax.cli.console import note, quiet_libraries
from ulmfit_jax.cli.termination import interruptions_answered, termination_interrupts
from ulmfit_jax.cli.training_run import holds_states
from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.huge_pages import restart_with_huge_pages

COMMANDS = {
    "train": train,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "predict": predict,
    "explain": explain,
    "serve": serve,
    "ensemble": ensemble,
    "learn": learn,
    "generate": generate,
    "perplexity": perplexity,
    "pretrain": pretrain,
    "finetune-lm": finetune_lm,
    "lr-find": lr_find,
    "show": show,
    "export": export,
    "info": info,
    "import-fastai": import_fastai,
    "export-fastai": export_fastai,
    "doctor": doctor,
    "completion": completion,
}

_DESCRIPTION = """\
Text classification by transfer from a language model (ULMFiT), in three steps: a language model that has read general
text reads yours, and then learns to tell your classes apart.
"""

_EXAMPLES = """\
from labelled reviews to answers:
  ulmfit doctor                                        see whether this machine is ready
  ulmfit show reviews.csv                              look at the texts as the model reads them
  ulmfit train reviews.csv --out run --dry-run         what would be trained, and how long it takes
  ulmfit train reviews.csv --out run --test test.csv   train, test, compare with a baseline
  ulmfit predict run --text "What a lovely surprise."  classify a text, or the lines of a file
  ulmfit evaluate run more.csv                         accuracy on other labelled texts

DATA is, wherever it is asked for:
  a file .csv, .tsv, .jsonl or .parquet with a column of texts and, where needed, one of labels
  a file .txt without labels, one text a line (for language models the choice is yours: --documents)
  a folder with one sub-folder of .txt files for each label
  tfds:NAME[/CONFIG]:SPLIT, a TensorFlow data set, such as 'tfds:imdb_reviews:train[:2500]'

exit codes:
  0    done
  2    a mistake, which one sentence on standard error explains
  130  stopped by Ctrl-C, and 143 by SIGTERM; the same training command goes on
  141  whoever read the output has gone
  1    a defect of ulmfit, with a traceback

ulmfit COMMAND --help explains a command and gives examples.
"""

_MISTAKE, _NO_READER = 2, 141

_ENDING = "interrupted; what is being computed ends first …"
_INTERRUPTING = "interrupted; the step under way ends first and is saved …"


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one sentence, like every other mistake, instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_MISTAKE, f"{self.prog}: {message}; see {self.prog} --help\n")

    # A command's own parser hands options that it does not know to the one above it, which knows them even less. They
    # are looked for first: one that is mistyped is missing too, which would be said instead.
    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        given = sys.argv[1:] if args is None else list(args)
        for option in _own_options(self, given):
            name = option.partition("=")[0]
            if name == "--resume" and "--out" in self._option_string_actions:
                self.error("there is no option --resume: the same command with the same --out goes on by itself")
            if name not in self._option_string_actions:
                self.error(f"there is no option {name}{_like(name, _shown_options(self))}")
        return super().parse_known_args(given, namespace)


def _own_options(parser: argparse.ArgumentParser, given: Sequence[str]) -> list[str]:
    """The long options among the arguments, up to the name of a command, whose own parser takes what follows."""
    commands = sub_parsers(parser)
    own = itertools.takewhile(lambda argument: argument != "--" and argument not in commands, given)
    return [argument for argument in own if argument.startswith("--") and " " not in argument.partition("=")[0]]


def _shown_options(parser: argparse.ArgumentParser) -> list[str]:
    actions = (action for action in parser._actions if action.help != argparse.SUPPRESS)
    return [option for action in actions for option in action.option_strings]


def _like(word: str, known: Iterable[str]) -> str:
    """A question for somebody who has mistyped a word; empty where nothing is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f": did you mean {close[0]}?" if close else ""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; parsed options carry the sub-command's function as `run`."""
    style = argparse.RawDescriptionHelpFormatter
    parser = _Parser("ulmfit", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=style, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ulmfit {ulmfit_jax.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, command in COMMANDS.items():
        sub_parser = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=style,
            allow_abbrev=False,
        )
        command.add_arguments(sub_parser)
        add_negations(sub_parser)
        sub_parser.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ulmfit` with these arguments, by default those of the process, which ends at once if that fails.

    Returns:
        The exit code.

    Raises:
        SystemExit: the arguments cannot be parsed (code 2), or only help or the version was asked for (code 0).
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by who has started this
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    given = sys.argv[1:] if arguments is None else arguments
    parser = build_parser()
    if not given:
        parser.print_help(sys.stderr)
        return _MISTAKE
    if not given[0].startswith("-") and given[0] not in COMMANDS:
        return _fail(f"there is no command {given[0]!r}{_like(given[0], COMMANDS)}; see ulmfit --help")
    try:
        options = parse_arguments(parser, given)
    except UlmfitError as error:
        return _fail(str(error))
    if arguments is None:
        restart_with_huge_pages()
    options.command_line = shlex.join(["ulmfit", *given])
    code = _run(options)
    if code and arguments is None:
        # What was computing when the command stopped still runs in XLA's threads, and some of them crash when the
        # interpreter is taken down. Everything that matters is on disk: states are committed before this line.
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)
    return code


def _run(options: argparse.Namespace) -> int:
    goes_on = termination_interrupts() if _writes(options) else contextlib.nullcontext()
    with quiet_libraries():
        try:
            with goes_on, interruptions_answered(_INTERRUPTING if _keeps_states(options) else _ENDING):
                options.run(options)
            sys.stdout.flush()
        except UlmfitError as error:
            return _fail(_with_option_names(str(error), options))
        except KeyboardInterrupt as error:
            return _fail(_interruption(options), 128 + getattr(error, "signal", signal.SIGINT))
        except BrokenPipeError:
            return _NO_READER
        except OSError as error:
            return _fail(_system_error(error))
        except MemoryError:
            return _fail("there is not enough memory for this: give less data, or a smaller batch size")
        except RuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return _fail("the device has not enough memory for this: choose a smaller batch size or preset")
    return 0


def _fail(sentence: str, code: int = _MISTAKE) -> int:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    note(f"ulmfit: {' '.join(sentence.splitlines())}")
    return code


def _with_option_names(sentence: str, options: argparse.Namespace) -> str:
    """The library speaks of arguments (`text_column`), a person at a console gives options (`--text-column`)."""
    sentence = re.sub(
        r"\b([a-z_]+)='([^' ]+)'",
        lambda m: f"--{m[1].replace('_', '-')} {m[2]}" if m[1] in vars(options) else m[0],
        sentence,
    )
    names = "|".join(re.escape(name) for name in vars(options) if "_" in name)
    if not names:
        return sentence
    # Nothing that is a part of a path or of another word is touched.
    return re.sub(rf"(?<![\w./\\'-])({names})(?![\w/\\'-]|\.\w)", lambda m: "--" + m[1].replace("_", "-"), sentence)


def _writes(options: argparse.Namespace) -> bool:
    """Whether the command writes a model, which SIGTERM is not to end in the middle of."""
    return not {"out", "place", "file"}.isdisjoint(vars(options))


def _keeps_states(options: argparse.Namespace) -> bool:
    """Whether the command trains, so that a step that has ended is saved."""
    return "dry_run" in options and not options.dry_run


def _interruption(options: argparse.Namespace) -> str:
    if "dry_run" not in options:
        return "interrupted"
    if options.dry_run:
        return "interrupted: a dry run keeps nothing"
    if holds_states(options.out):
        return f"interrupted: the same command goes on from the last state saved in {options.out}"
    return "interrupted before a state was saved: the same command begins again"


def _system_error(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no free disk left{where}: free some space and give the same command again"
    return f"the system refuses{where} ({error.strerror or error}): give a place that can be read and written"
