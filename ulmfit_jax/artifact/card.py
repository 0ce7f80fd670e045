"""The model card: what a model folder's README says, generated from its configuration."""

from __future__ import annotations

from typing import Any

from ulmfit_jax.counted import counted


def model_card(name: str, config: dict[str, Any]) -> str:
    """Markdown for the model folder `name` from the contents of its `config.json`."""
    architecture, provenance = config["architecture"], config["provenance"]
    layers = counted(architecture["n_layers"], "layer")
    kind = config["kind"].replace("_", " ")
    lines = [
        f"# {name}",
        "",
        f"A {kind} of ulmfit-jax, reading {'backwards' if config['backwards'] else 'forwards'}: AWD-LSTM with "
        f"{layers}, {architecture['hidden_size']} hidden and {architecture['embedding_size']} "
        f"embedding features, over a {config['tokenizer']['kind']} vocabulary of {architecture['vocabulary_size']:,}.",
        "",
    ]
    if config["labels"]:
        several = " (a text may have several, or none)" if (config["head"] or {}).get("multi_label") else ""
        lines += [f"Labels{several}: {', '.join(config['labels'])}.", ""]
    for title, value in sorted(provenance.items(), key=lambda entry: isinstance(entry[1], dict)):  # sections come last
        lines += _section(title.replace("_", " "), value)
    lines += ["", "Load it:", "", "```python", f"from ulmfit_jax import {_face(config['kind'])}", ""]
    lines += [f'model = {_face(config["kind"])}.load("{name}")', "```", ""]
    return "\n".join(lines)


def _section(title: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            "",
            f"**{title.capitalize()}**",
            "",
            *[f"- {key.replace('_', ' ')}: {entry}" for key, entry in value.items()],
        ]
    return [f"- {title}: {value}"]


def _face(kind: str) -> str:
    return "TextClassifier" if kind == "classifier" else "LanguageModel"
