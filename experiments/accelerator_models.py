"""Model folders of what `accelerator.py` leaves in its work folder."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from packed_tokens import BPTT
from pretrain_wikipedia import measure
from ulmfit_jax.artifact import Artifact, save_artifact
from ulmfit_jax.errors import DataError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.parameters import Tree, flatten, unflatten
from ulmfit_jax.text import load_tokenizer

LABELS = ("neg", "pos")
START = "a start for fine-tuning on your own texts; it holds facts and prejudices of its source"


def keep(place: Path, sizes: Architecture, trees: dict[str, Tree]) -> None:
    """Write trees as 16-bit floats."""
    arrays = {path: np.asarray(leaf, np.float16) for path, leaf in flatten(trees).items()}
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".part").open("wb") as file:
        np.savez(file, sizes=np.array(json.dumps(sizes.to_dict())), **arrays)
    place.with_suffix(".part").rename(place)


def loaded(place: Path) -> tuple[Architecture, dict[str, Tree]]:
    """What `keep` wrote, in float32."""
    if not place.is_file():
        raise DataError(f"{place} is missing: give the commands in order")
    with np.load(place) as arrays:
        leaves = {name: np.asarray(arrays[name], np.float32) for name in arrays.files if name != "sizes"}
        return Architecture(**json.loads(str(arrays["sizes"]))), unflatten(leaves)


def models(options: argparse.Namespace) -> None:
    """Model folders of what is in the work folder, with 16-bit weights; with --data-dir, WikiText-103 measures the
    language models of Wikipedia."""
    tokenizer = load_tokenizer(options.tokenizer)
    results = json.loads((options.work / "results.json").read_text("utf-8"))
    pretrained = results.get("wikipedia", {})
    parts, size = pretrained.get("parts", options.parts), pretrained.get("preset", options.preset)
    for place in sorted(options.work.glob("*.npz")):
        name = place.stem
        if name == "test":
            continue
        sizes, trees = loaded(place)
        about = provenance(name, parts, results.get(name, {}))
        if "parameters" in trees:
            arrays = trees["parameters"], trees["statistics"]
            model = Artifact("classifier", sizes, tokenizer, *arrays, LABELS, Head(len(LABELS)))
            settings = {"bptt": BPTT, "max_length": MAX_LENGTH}
            model = replace(model, backwards=name.endswith("backward"), settings=settings, provenance=about)
            save_artifact(model, options.out / f"imdb-{size}-{name}", half_precision=True)
            continue
        for direction, parameters in trees.items():
            model = Artifact("language_model", sizes, tokenizer, parameters, backwards=direction == "backward")
            measures = {"perplexity per token, held-out documents": held_out(results.get(name, {}), direction)}
            if name == "wikipedia" and options.data_dir:
                measures |= measure(options.data_dir, model)
            settings = {"bptt": BPTT, "reset_state": True}
            model = replace(model, settings=settings, provenance=about | {"measures": measures})
            save_artifact(model, options.out / f"{name}-{size}-{direction}", half_precision=True)
            print(f"{name}-{direction}: {measures}", flush=True)


def provenance(name: str, parts: int, result: dict[str, Any]) -> dict[str, Any]:
    """What a card says of where a model comes from."""
    wikipedia = f"parts 1 to {parts} of 8 of English Wikipedia articles (2015), CC BY-SA 3.0"
    reviews = f"{wikipedia}; then training and unsupervised reviews of IMDb (Maas et al. 2011)"
    text, use = {
        "wikipedia": (wikipedia, START),
        "imdb": (reviews, START),
    }.get(name, (f"{reviews}; then their labels", "tells whether an English review of a film is positive or negative"))
    settings = result.get("settings", {})
    history = result.get("history", [{}])
    training = {
        "tokens read": result.get("tokens", result.get("documents")),
        "epochs": len(history),
        "steps": history[-1].get("step"),
        "peak_learning_rate": max((np.max(stage["learning_rate"]) for stage in result.get("stages", [])), default=None),
        "seconds": result.get("seconds"),
        "hardware": result.get("device"),
        "seed": result.get("seed"),
        "date": result.get("date", "")[:10],
        **{key: settings.get(key) for key in ("batch_size", "bptt", "drop_mult", "precision")},
    }
    return {
        "text": text,
        "training": training,
        "intended_use": use,
    }


def held_out(result: dict[str, Any], direction: str) -> float | None:
    """The last perplexity of a direction on the documents that were held out."""
    column = "perplexity" if direction == "forward" else "perplexity_backward"
    value = result.get("history", [{}])[-1].get(column)
    return value and round(value, 2)
