"""The same option has the same name, type and help in every command."""

from __future__ import annotations

import argparse
from collections import defaultdict

import pytest

from ulmfit_jax.cli.configuration import sub_parsers
from ulmfit_jax.cli.main import COMMANDS, build_parser

MEANS_ANOTHER_THING = {
    "--out": "a run's folder, a model folder or a file",
    "--json": "one object, or one for each text",
    "--epochs": "of a language model, or of a classifier's stages",
    "--batch-size": "rows of a stream, or texts",
    "--learning-rate": "of a language model, or of a classifier's stages",
    "--drop-mult": "of a language model, or of a classifier",
    "--lr-mult": "of a recipe, or of a classifier that learns on",
    "--preset": "instead of a pretrained model, or as the only choice",
    "--pretrained": "from scratch is possible, or is another command",
    "--language": "of a new tokeniser, or of an imported vocabulary",
    "--backwards": "to be learnt, or what an imported model does",
    "--seed": "of what is drawn",
    "--precision": "in training, or of answers, whose default is another one",
}
"""Options whose help may differ, and what the difference is."""


def options_by_name() -> dict[str, dict[str, argparse.Action]]:
    found: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    for command, parser in sub_parsers(build_parser()).items():
        for action in parser._actions:
            for name in action.option_strings:
                found[name][command] = action
    return found


OPTIONS = options_by_name()
SHARED = sorted(name for name, commands in OPTIONS.items() if len(commands) > 1)


@pytest.mark.parametrize("name", SHARED)
def test_an_option_is_the_same_everywhere(name: str) -> None:
    actions = list(OPTIONS[name].values())
    assert len({(type(action), action.nargs) for action in actions}) == 1
    if name not in MEANS_ANOTHER_THING:
        assert len({action.help for action in actions}) == 1, {c: a.help for c, a in OPTIONS[name].items()}
        assert len({(action.metavar, action.dest) for action in actions}) == 1


def test_the_exceptions_are_needed() -> None:
    for name in MEANS_ANOTHER_THING:
        assert len({action.help for action in OPTIONS[name].values()}) > 1, name


def test_every_argument_is_explained() -> None:
    for command, parser in sub_parsers(build_parser()).items():
        for action in parser._actions:
            assert action.help, f"{command} {action.dest}"
            if action.option_strings and action.help != argparse.SUPPRESS and action.nargs != 0:
                assert action.metavar or action.choices, f"{command} {action.option_strings} shows no value"
            for option in action.option_strings:
                assert option in ("-h", "--help") or option == option.lower().replace("_", "-")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_it(name: str) -> None:
    command = COMMANDS[name]
    assert command.SUMMARY[0].islower()
    assert not command.SUMMARY.endswith(".")
    assert command.DESCRIPTION.endswith(".\n")
    parser = build_parser()
    shown = [line.strip() for line in command.EXAMPLES.splitlines() if line.strip().startswith("ulmfit ")]
    assert shown
    for line in shown:
        arguments = argparse_words(line)
        if "--config" not in arguments:
            assert parser.parse_args(arguments).command in COMMANDS


def argparse_words(line: str) -> list[str]:
    """The arguments of an example, up to a pipe, a redirection or a remark."""
    import shlex

    words = shlex.split(line.split("     ")[0])[1:]
    end = next((i for i, word in enumerate(words) if word in ("|", ">")), len(words))
    return words[:end]
