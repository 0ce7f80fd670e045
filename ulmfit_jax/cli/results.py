"""Results of a training run: gathered from the table of epochs, and shown to a person."""

from __future__ import annotations

from typing import Any

from ulmfit_jax.counted import also_learnt, counted

CLASSIFIER_MEASURE = "error_rate"
"""The column that only the classifier's epochs have."""

TRAINED_ON = "data_sha256"
"""The entry of a classifier's provenance that tells which texts training commands gave it."""


def known_data(provenance: dict[str, Any]) -> list[str]:
    """The fingerprints in that entry: of labelled texts, or, where a teacher labelled them, of texts alone."""
    found = provenance.get(TRAINED_ON, [])
    each = found if isinstance(found, list) else [found]
    return [one for one in each if isinstance(one, str)]


def measures(history: list[dict[str, Any]], provenance: dict[str, Any] | None = None) -> dict[str, Any]:
    """Figures of the last epochs, or of the kept one, on the validation texts, and the seconds of each stage.

    Args:
        history: rows of the table of epochs, of one or more stages; a run that was interrupted has whole rows too.
        provenance: the classifier's, which names the epoch that was kept if it is not the last.

    Returns:
        `language_model` and `validation` (the classifier's), each only if it was measured, and `seconds`.
    """
    report: dict[str, Any] = {}
    for row in [*history, (provenance or {}).get("best_epoch", {})]:
        if CLASSIFIER_MEASURE in row:
            error = row[CLASSIFIER_MEASURE]
            report["validation"] = {"accuracy": 1 - error, "error": error, "loss": row["valid_loss"]}
            if "micro_f1" in row:
                report["validation"]["micro_f1"] = row["micro_f1"]
        elif "perplexity" in row:
            names = {"perplexity": "perplexity", "accuracy": "accuracy", "loss": "valid_loss"}
            report["language_model"] = {name: row[column] for name, column in names.items()}
    report["seconds"] = seconds_per_stage(history)
    return report


def without_test(report: dict[str, Any]) -> dict[str, Any]:
    """A report without the figures of an earlier start with `--test`, which one without it does not claim."""
    return {name: value for name, value in report.items() if name not in ("test", "baseline")}


def seconds_per_stage(history: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of all epochs of a stage, by its name, in the order of the stages."""
    seconds: dict[str, float] = {}
    for row in history:
        seconds[row["stage"]] = round(seconds.get(row["stage"], 0.0) + row["seconds"], 3)
    return seconds


def as_text(report: dict[str, Any]) -> str:
    """A report as a few lines for a person."""
    lines = []
    if test := report.get("test"):
        lines.append(_classified("test", test, counted(test["n"], "text")))
        if seen := test.get("also_in_training"):
            lines.append(f"{'':14}{also_learnt(seen)}")
    if baseline := report.get("baseline"):
        lines.append(_classified("baseline", baseline, baseline["name"]))
    if validation := report.get("validation"):
        which = "texts held out of training"
        if "ngrams" in report:
            which += ", by which both parts were weighed"
        lines.append(_classified("validation", validation, which))
    if network := report.get("network", {}).get("validation"):
        lines.append(_classified("network alone", network, "those held out, without the n-grams"))
    if model := report.get("language_model"):
        lines.append(f"language model  perplexity {model['perplexity']:,.1f} per token of its own, on held-out texts")
    if "documents" in report:
        lines.append(f"trained on      {trained_on(report)}")
        if more := report.get("co_training"):
            lines.append(f"{'':16}n-grams learnt from {more:,} of these too, which they and the network labelled")
        if report.get("transductive"):
            lines.append(f"{'':16}texts without labels were those of --test too")
    times = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in report["seconds"].items())
    lines += [f"time            {times}", f"model           {report['model']}"]
    return "\n".join([*lines, f"report          {report['page']}"] if "page" in report else lines)


def trained_on(report: dict[str, Any]) -> str:
    """How many texts a classifier has learnt from, and how many of those given were held out."""
    documents, held_out = report["documents"], report["documents"].get("validation", 0)
    classes = counted(len(report["classes"]), "class", "classes")
    aside = f", {held_out:,} held out to measure on" if held_out else ""
    labelled = counted(documents["labelled"] - held_out, "labelled text")
    return f"{labelled} of {classes}{aside}, {documents['unlabelled']:,} without a label"


def _classified(name: str, figures: dict[str, Any], on_what: str) -> str:
    if figures["accuracy"] is None:
        return f"{name:<16}{on_what}"
    f1 = f"micro F1 {figures['micro_f1']:7.2%}   " if "micro_f1" in figures else ""
    return f"{name:<16}accuracy {figures['accuracy']:7.2%}   error {figures['error']:7.2%}   {f1}{on_what}"


def classes_as_text(figures: dict[str, Any]) -> str:
    """What `Answers.evaluate` says of each class, as a table for a person."""
    rows = [
        [name, *(_share(row[key]) for key in ("precision", "recall", "f1")), f"{row['n']:,}"]
        for name, row in figures["classes"].items()
    ]
    width = max(len("label"), *(len(row[0]) for row in rows))
    head = ["label", "precision", "recall", "F1", "texts"]
    lines = [f"{row[0]:<{width}}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in [head, *rows]]
    means = [f"{name} F1 {_share(figures[f'{name}_f1'])}" for name in ("micro", "macro") if f"{name}_f1" in figures]
    if "label_accuracy" in figures:
        means.append(f"single labels right {figures['label_accuracy']:.2%}")
    return "\n".join(["   ".join(means), "", *lines])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
