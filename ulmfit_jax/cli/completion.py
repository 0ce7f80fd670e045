"""`ulmfit completion`: the shell completes commands, options and files."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.console import show

SUMMARY = "print a script that lets the shell complete this command line"

DESCRIPTION = """\
Print a script for bash or zsh that completes the commands of ulmfit, their options, the options' values and the names
of files. Have the shell read it when it starts.
"""

EXAMPLES = """\
examples:
  ulmfit completion bash > ~/.local/share/bash-completion/completions/ulmfit
  ulmfit completion zsh > ~/.zfunc/_ulmfit     with `fpath+=~/.zfunc; autoload -U compinit; compinit` in ~/.zshrc
"""

SHELLS = ("bash", "zsh")
_FILES = ("DATA", "FILE", "FILE.toml", "FILE.pth", "WEIGHTS", "VOCAB", "DIR", "DIR|NAME", "NAME|DIR", "NAME|DIR|none")
"""Metavariables of arguments that name a file or a folder; a folder may be typed on the way to a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit completion`."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read the script")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    import shtab

    from ulmfit_jax.cli.configuration import sub_parsers
    from ulmfit_jax.cli.main import build_parser

    parser = build_parser()
    for command in sub_parsers(parser).values():
        for action in command._actions:
            if action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    show(shtab.complete(parser, options.shell))
