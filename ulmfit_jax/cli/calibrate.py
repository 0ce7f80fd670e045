"""`ulmfit calibrate`: a trained classifier's probabilities become as large as they are often right."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli import labelled_texts
from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.counted import counted
from ulmfit_jax.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier

__all__ = ["DESCRIPTION", "EXAMPLES", "SUMMARY", "add_arguments", "run"]

SUMMARY = "make the probabilities of a trained classifier trustworthy"

DESCRIPTION = """\
Fit one number, the temperature, on labelled texts that the classifier has not been trained on, and keep it in the
model, or with --out in a copy. The labels that the model gives stay the same; its probabilities come nearer to how
often it is right. A temperature above 1 means that it was too sure of itself.

Printed are the temperature, and before and after the expected calibration error (by how much confidence and accuracy
differ, in 15 bins) and the loss (mean cross-entropy in nats), on these very texts: measure on others with
`ulmfit evaluate`. Some hundred texts are enough. The texts that it was trained on are refused if they are DATA as a
whole; see to it that none of them is in it. Of an ensemble, the mean of the members is calibrated.

With --reset instead of DATA, the temperature is 1 again, as before any calibration.
"""

EXAMPLES = """\
examples:
  ulmfit calibrate run calibration.csv
  ulmfit calibrate run calibration.csv --json
  ulmfit calibrate run --reset
  ulmfit calibrate imdb-small calibration.csv --out calibrated
"""


ENOUGH = 50
"""With fewer texts the temperature is mostly chance."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit calibrate`."""
    labelled_texts.add_arguments(parser, needed=False)
    parser.add_argument("--reset", action="store_true", help="take the calibration back; without DATA")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="model folder to write, where nothing is yet, instead of changing the model; needed for a shipped one",
    )


def run(options: argparse.Namespace) -> None:
    """Load, read, fit, write the model folder anew, print."""
    if options.reset != (options.data is None):
        raise ConfigError("give DATA to calibrate on, or --reset to take a calibration back, and not both")
    _check_place(options)
    if options.reset:
        _reset(options)
        return
    model, data = labelled_texts.model_and_texts(options)
    if labelled_texts.were_trained_on(model, data):
        raise DataError(
            f"{data.source} holds the very texts that the model was trained on, of which it is surer than of others: "
            "give other labelled texts; the model is as it was"
        )
    figures = model.calibrate(data.texts, data.targets or ())
    kept = _save(model, options)
    if options.json:
        show_json({**figures, "model": kept, "data": options.data})
    else:
        show(
            f"temperature {figures['temperature']:.3f}   calibration error {figures['ece_before']:.2%} -> "
            f"{figures['ece']:.2%}   loss {figures['loss_before']:.4f} -> {figures['loss']:.4f}   "
            f"{counted(int(figures['n']), 'text')}"
        )
        if options.out:
            show(f"model       {kept}")
    if round(figures["ece"], 4) > round(figures["ece_before"], 4):
        note("the temperature is fitted to the loss; the calibration error, which counts in 15 bins, has grown here")
    if figures["n"] < ENOUGH:
        note(f"{counted(int(figures['n']), 'text')} say little of a temperature: some hundred are enough")
    if not 0.2 < figures["temperature"] < 5:
        note(
            "a temperature so far from 1 is rare: on texts that the model was trained on, or on few texts, it says "
            "nothing; calibrate again on others, or take it back with --reset"
        )


def _reset(options: argparse.Namespace) -> None:
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices)
    before = model.temperature
    model.uncalibrate()
    kept = _save(model, options)
    if options.json:
        show_json({"temperature": 1.0, "temperature_before": before, "model": kept})
    else:
        show(f"temperature 1.000, before {before:.3f}")


def _check_place(options: argparse.Namespace) -> None:
    """Refuse to change a model that comes with the installation, and to write over another one."""
    from ulmfit_jax.artifact.place import refuse_existing
    from ulmfit_jax.pretrained import model_folder, shipped_models

    if options.out is not None:
        refuse_existing(options.out)
    shipped = {folder.resolve() for folder in shipped_models().values()}
    if options.out is None and model_folder(options.model).resolve() in shipped:
        raise ConfigError(
            f"{options.model} comes with ulmfit-jax and stays as it is: give --out DIR for the changed model"
        )


def _save(model: TextClassifier | Ensemble, options: argparse.Namespace) -> str:
    """Write the model folder anew, or another one, in the precision that it had; returns its place."""
    from ulmfit_jax.artifact.summary import model_summary
    from ulmfit_jax.pretrained import model_folder

    folder = model_folder(options.model)
    model.save(options.out or folder, half_precision=_is_half(model_summary(folder)))
    return str(options.out or options.model)


def _is_half(summary: dict[str, Any]) -> bool:
    """Whether all arrays of a model, or of an ensemble's members, are stored as 16-bit floats."""
    members = summary.get("members", [summary])
    return all(member["stored_as"] == ["float16"] for member in members)
