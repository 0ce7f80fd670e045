"""`ulmfit info`: what a model folder is."""

from __future__ import annotations

import argparse
from typing import Any

from ulmfit_jax.cli.arguments import add_json, add_model
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.counted import counted
from ulmfit_jax.errors import ArtifactError

SUMMARY = "say what a model folder is, and whether it is whole"

DESCRIPTION = """\
Print what a model is: its kind, sizes, number of parameters, bytes, vocabulary, direction, labels, and where it comes
from: what it was trained from, in which stages, with which figures. Every file is compared with the size and the hash
that were noted when the model was saved; a damaged model ends with exit code 2.
"""

EXAMPLES = """\
examples:
  ulmfit info wikipedia-small-forward
  ulmfit info run
  ulmfit info run --json | python -m json.tool
"""

_INDENT = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit info`."""
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Read the folder, print, refuse it if it is damaged."""
    from ulmfit_jax.artifact.summary import model_summary
    from ulmfit_jax.pretrained import model_folder

    summary = model_summary(model_folder(options.model))
    if options.json:
        show_json(summary)
    else:
        show("\n".join(summary_lines(summary)))
    damage = summary["damage"] or next((member["damage"] for member in summary.get("members", ())), None)
    if damage:
        raise ArtifactError(damage)


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """A summary as lines for a person."""
    lines = [_line("model", summary["folder"]), _line("kind", str(summary["kind"]).replace("_", " "))]
    if summary["labels"]:
        lines.append(_line("labels", ", ".join(summary["labels"])))
    if "members" not in summary:
        lines += _single(summary)
    if "ngrams" in summary:
        lines.append(_line("n-grams", f"{summary['ngrams']:,}, with {summary['ngrams_share']:.0%} of the say"))
    if "members" in summary and summary["settings"]:
        lines.append(_line("settings", _plainly(summary["settings"])))
    lines.append(_line("files", f"{summary['bytes']:,} bytes, {'DAMAGED' if summary['damage'] else 'as saved'}"))
    lines += _origin(summary.get("provenance") or {})
    for member in summary.get("members", ()):
        lines += ["", *summary_lines(member)]
    return lines


def _single(summary: dict[str, Any]) -> list[str]:
    sizes, tokenizer = summary["architecture"], summary["tokenizer"]
    features = f"{sizes['hidden_size']:,} hidden and {sizes['embedding_size']:,} embedding features"
    lines = [
        _line("reads", "backwards" if summary["backwards"] else "forwards"),
        _line("sizes", f"AWD-LSTM, {counted(sizes['n_layers'], 'layer')}, {features}"),
        _line("vocabulary", f"{sizes['vocabulary_size']:,} entries, {tokenizer['kind']}"),
    ]
    if summary["head"]:
        hidden = ", ".join(map(str, summary["head"]["hidden"])) or "no"
        lines.append(
            _line("head", f"{hidden} hidden features, {counted(summary['head']['n_classes'], 'class', 'classes')}")
        )
    if summary["parameters"] is not None:
        lines.append(_line("parameters", f"{summary['parameters']:,} in {', '.join(summary['stored_as'])}"))
    if summary["settings"]:
        lines.append(_line("settings", _plainly(summary["settings"])))
    return lines


def _origin(provenance: dict[str, Any], depth: int = 0) -> list[str]:
    """Where a model comes from: one line for each entry, what it was trained from indented below it."""
    lines: list[str] = []
    for name, value in provenance.items():
        title = " " * depth + name.replace("_", " ")
        if isinstance(value, dict) and any(isinstance(entry, dict | list) for entry in value.values()):
            lines += [title, *_origin(value, depth + 2)]
        else:
            lines.append(_line(title, _plainly(value)))
    return lines


def _plainly(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_plainly(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(_plainly, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(title: str, text: str) -> str:
    return f"{title:<{_INDENT}}{text}" if len(title) < _INDENT else f"{title}  {text}"
