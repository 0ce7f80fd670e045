"""`ulmfit calibrate`: a trained classifier's probabilities become as large as they are often right."""

from __future__ import annotations

import argparse
from typing import Any

from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.labelled_texts import add_arguments, model_and_texts

__all__ = ["DESCRIPTION", "EXAMPLES", "SUMMARY", "add_arguments", "run"]

SUMMARY = "make the probabilities of a trained classifier trustworthy"

DESCRIPTION = """\
Fit one number, the temperature, on labelled texts that the classifier has not been trained on, and keep it in the
model. The labels that the model gives stay the same; its probabilities come nearer to how often it is right. A
temperature above 1 means that it was too sure of itself.

Printed are the temperature, and before and after the expected calibration error (by how much confidence and accuracy
differ, in 15 bins) and the loss (mean cross-entropy in nats), on these very texts: measure on others with
`ulmfit evaluate`. Some hundred texts are enough. Of an ensemble, the mean of the members is calibrated.
"""

EXAMPLES = """\
examples:
  ulmfit calibrate run held-out.csv
  ulmfit calibrate run held-out.csv --json
"""


def run(options: argparse.Namespace) -> None:
    """Load, read, fit, write the model folder anew, print."""
    from ulmfit_jax.artifact.summary import model_summary
    from ulmfit_jax.pretrained import model_folder

    model, data = model_and_texts(options)
    figures = model.calibrate(data.texts, data.targets or ())
    folder = model_folder(options.model)
    model.save(folder, half_precision=_is_half(model_summary(folder)))
    if options.json:
        show_json({**figures, "model": options.model, "data": options.data})
    else:
        show(
            f"temperature {figures['temperature']:.3f}   calibration error {figures['ece_before']:.2%} -> "
            f"{figures['ece']:.2%}   loss {figures['loss_before']:.4f} -> {figures['loss']:.4f}   "
            f"{figures['n']:,} texts"
        )
    if not 0.2 < figures["temperature"] < 5:
        note(
            "a temperature so far from 1 is rare: on texts that the model was trained on, or on few texts, it says "
            "nothing; calibrate again on others"
        )


def _is_half(summary: dict[str, Any]) -> bool:
    """Whether all arrays of a model, or of an ensemble's members, are stored as 16-bit floats."""
    members = summary.get("members", [summary])
    return all(member["stored_as"] == ["float16"] for member in members)
