"""How good a classifier is whose texts may have several labels: the sections of a page in which that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

import numpy as np

from ulmfit_jax.inference.explain import Explanation
from ulmfit_jax.report.class_remarks import class_remarks
from ulmfit_jax.report.elements import Content, bar, element, table
from ulmfit_jax.report.label_facts import AnsweredLabels
from ulmfit_jax.report.measures import label_scores, share_interval
from ulmfit_jax.report.mistakes import SHOWN, Mistake
from ulmfit_jax.report.results import agreement_of_baseline, card, percent, surety, where
from ulmfit_jax.training.label_measures import micro_f1


def label_headline(answered: AnsweredLabels) -> Element:
    """The figures that a person looks for first."""
    low, high = share_interval(int(answered.whole.sum()), len(answered))
    whole = f"of {where(answered)} have exactly the right labels; 95 % interval {low:.1%} to {high:.1%}"
    baseline, gain = answered.baseline_figures, ""
    if answered.baseline is not None:
        points = 100 * (micro_f1(answered.predicted, answered.truth) - baseline["micro_f1"])
        differs = f"this model is {abs(points):.1f} points {'better' if points > 0 else 'worse'}"
        gain = f"micro F1; {differs if round(points, 1) else 'no difference'}"
    cards = [
        card("Micro F1", percent(micro_f1(answered.predicted, answered.truth)), "over all labels of all texts"),
        card("Macro F1", percent(answered.scores.macro_f1), "mean over the labels, each counts the same"),
        card("All labels right", percent(float(answered.whole.mean())), whole),
        card("TF-IDF baseline", percent(baseline.get("micro_f1", float("nan"))), gain or answered.baseline_name),
        card("Calibration error", percent(answered.calibration.error), surety(answered)),
    ]
    return element("div", cards, class_="cards")


def label_comparison(answered: AnsweredLabels) -> Element:
    """The model beside the baseline and beside always giving the most frequent label."""
    rows: list[list[Content]] = [_compared("This model", "a", answered.predicted, answered)]
    if answered.baseline is not None:
        rows.append(_compared(answered.baseline_name, "b", answered.baseline, answered))
    most = int(answered.truth.sum(axis=0).argmax())
    always = np.zeros_like(answered.predicted)
    always[:, most] = True
    rows.append(_compared(f"Always “{answered.classes[most]}” alone", "c", always, answered))
    head = ["", "micro F1", "macro F1", "all labels right"]
    parts: list[Content] = [
        element("h2", "Beside simpler classifiers"),
        table(f"Answers on {where(answered)}", head, rows),
    ]
    if answered.baseline is None:
        parts.append(element("p", f"{answered.baseline_name}."))
    return element("section", parts, agreement_of_baseline(answered), id="baseline")


def surest_label_mistakes(
    answered: AnsweredLabels, explain: Callable[[str, str], Explanation] | None, count: int = SHOWN
) -> list[Mistake]:
    """The wrong answers to single questions, the surest first, at most one a text; see `most_confident`."""
    wrong = np.flatnonzero(~answered.right)
    found: dict[int, Mistake] = {}
    for question in wrong[np.argsort(-answered.confidence[wrong], kind="stable")]:
        row, column = divmod(int(question), len(answered.classes))
        if row in found or len(found) == count:
            continue
        text, name = answered.data.texts[row], answered.classes[column]
        given = bool(answered.predicted[row, column])
        baseline = None if answered.baseline is None else bool(answered.baseline[row, column] != given)
        found[row] = Mistake(
            answered.rows[row],
            text,
            ", ".join((answered.data.label_sets or ())[row]) or "none",
            name,
            float(answered.confidence[question]),
            float(answered.probabilities[row, column]),
            baseline,
            explain(text, name) if explain else None,
            "given" if given else "missed",
        )
    return list(found.values())


def label_remarks(answered: AnsweredLabels) -> Iterator[str]:
    """What to know of the answers, the weightiest first."""
    own = micro_f1(answered.predicted, answered.truth)
    if answered.baseline is not None and (other := micro_f1(answered.baseline, answered.truth)) > own:
        yield f"TF-IDF is better (micro F1 {other:.1%} against {own:.1%}) and takes seconds; more text may help."
    if answered.name == "validation":
        yield (
            "Measured on texts that were held out of training, not on a test set: give --test for figures "
            "that no choice was made by."
        )
    yield from class_remarks(answered, "Never given, for no text", "has")


def _compared(name: str, kind: str, given: np.ndarray, answered: AnsweredLabels) -> list[Content]:
    micro, whole = micro_f1(given, answered.truth), float((given == (answered.truth > 0)).all(axis=1).mean())
    macro = label_scores(given, answered.truth).macro_f1
    return [name, bar(micro, f"{micro:.1%}", kind), percent(macro), percent(whole)]
