"""Options from a TOML file: `--config run.toml`. Keys are the long names of the options; the command line wins."""

from __future__ import annotations

import argparse
import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.errors import ConfigError

NOT_SAVED = {
    *("run", "command", "config", "command_line"),
    *("json", "dry_run"),  # how to answer, not what to train
    *("distributed", "coordinator", "processes", "process"),  # another one in each process
}
"""Options that a run's own configuration leaves out."""

_NOT_IN_A_FILE = ("config", "help", "run", "command")


def parse_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line, with what the file of its `--config` says where the command line says nothing.

    Raises:
        ConfigError: the file cannot be read, or holds an unknown key or a value of the wrong type.
        SystemExit: as `parser.parse_args`.
    """
    arguments = list(arguments)
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    command = sub_parsers(parser).get(name)
    if command is None or arguments[0] != name:
        return parser.parse_args(arguments)
    file = _configuration_file(command, arguments)
    values = read_configuration(Path(file), command) if file is not None else {}
    for action in command._actions:
        if action.dest in values:
            action.default, action.required = None, False
            if not action.option_strings:
                action.nargs = "?"
    # Not `parse_args`, for which a positional argument that may be missing is missing when an option comes before it.
    options = command.parse_intermixed_args(arguments[1:])
    options.command = name
    for key, value in values.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    return options


def sub_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands by name."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: command for group in groups for name, command in group.choices.items()}


def add_negations(parser: argparse.ArgumentParser) -> None:
    """For each switch `--x` of a command with `--config` a hidden `--no-x`, to take back what a file says."""
    if not _has_configuration(parser):
        return
    for action in list(parser._actions):
        if isinstance(action, argparse._StoreTrueAction):
            opposite = action.option_strings[-1].replace("--", "--no-", 1)
            parser.add_argument(opposite, dest=action.dest, action="store_false", help=argparse.SUPPRESS)
            parser.set_defaults(**{action.dest: False})


def _has_configuration(command: argparse.ArgumentParser) -> bool:
    return any("--config" in action.option_strings for action in command._actions)


def _configuration_file(command: argparse.ArgumentParser, arguments: Sequence[str]) -> str | None:
    if not _has_configuration(command):
        return None
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config")
    try:
        found: str | None = finder.parse_known_args(arguments)[0].config
    except argparse.ArgumentError:  # without a file after it: the command's own parser says so
        return None
    return found


def read_configuration(file: Path, command: argparse.ArgumentParser) -> dict[str, Any]:
    """The options in a TOML file as the command's parser would give them, by their names in its namespace.

    Raises:
        ConfigError: names the file and the key, says what was found and what there could be.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8: write it as UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}): give --config a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}; text stands in quotation marks there") from error
    actions = {_key(action): action for action in command._actions if action.help != argparse.SUPPRESS}
    known = {key: action for key, action in actions.items() if action.dest not in _NOT_IN_A_FILE}
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(key.replace("_", "-"), known, 1)
            meant = f"did you mean {near[0]}?" if near else f"{command.prog} --help names those there are"
            raise ConfigError(f"{file}: there is no option {key!r} of {command.prog}: {meant}")
    return {known[key].dest: _checked(f"{file}: {key}", value, known[key]) for key, value in content.items()}


def _key(action: argparse.Action) -> str:
    return action.option_strings[-1].removeprefix("--") if action.option_strings else action.dest


def _checked(where: str, value: Any, action: argparse.Action) -> Any:
    """The value as the option's own type makes it of the same on a command line."""
    if isinstance(action, argparse._StoreTrueAction):
        if not isinstance(value, bool):
            raise ConfigError(f"{where} is {value!r}: give true or false")
        return value
    if isinstance(action, argparse._AppendAction):  # of which "extend" is a kind
        return [_text(where, entry) for entry in (value if isinstance(value, list) else [value])]
    if action.type is None:
        text = _text(where, value)
        if action.choices is not None and text not in action.choices:
            raise ConfigError(f"{where} is {text!r}: choose one of {', '.join(map(str, action.choices))}")
        return text
    numbers = value if isinstance(value, list) and value else [value]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise ConfigError(f"{where} is {value!r}, which is no number: give one, without quotation marks")
    try:
        return action.type(",".join(map(str, numbers)))  # type: ignore[operator]
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where} is {value!r}, which is no text: give it in quotation marks")
    return value


def configuration_text(command: str, options: argparse.Namespace) -> str:
    """The TOML file that gives a command the same options again."""
    import tomli_w

    values = {name: value for name, value in vars(options).items() if name not in NOT_SAVED}
    content = {
        name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None and value != []
    }
    how = f"# Go on with this run, or start another like it: ulmfit {command} --config THIS_FILE [--out DIR]\n"
    return f"{how}# Paths are as seen from the folder that the run was started in.\n{tomli_w.dumps(content)}"
