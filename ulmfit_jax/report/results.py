"""The first half of the page: how good the classifier is, where it errs, how far its probabilities can be trusted."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.report.charts import calibration_chart, histogram
from ulmfit_jax.report.elements import Content, bar, element, label, table
from ulmfit_jax.report.facts import Answered, RunFacts
from ulmfit_jax.report.measures import class_scores, confusion_matrix, share_interval

_LARGEST_MATRIX = 20
"""Classes up to which the confusion matrix is shown whole."""

_CONFUSIONS = 8
"""Pairs of classes in the list of the most frequent confusions."""


def where(answered: Answered) -> str:
    """What was measured on, in words."""
    if answered.name == "test":
        return counted(len(answered), "test text")
    return f"{counted(len(answered), 'text')} held out of training"


def headline(facts: RunFacts) -> Element:
    """The figures that a person looks for first."""
    answered = facts.answered
    if answered is None:
        return element("p", "Nothing was measured: no text was held out, and there was no --test.", class_="card")
    low, high = share_interval(int(answered.right.sum()), len(answered))
    cards = [
        card(
            "Accuracy",
            percent(float(answered.right.mean())),
            f"{where(answered)}; 95 % interval {low:.1%} to {high:.1%}",
        ),
        _baselinecard(answered),
        card("Macro F1", percent(answered.scores.macro_f1), "mean over the classes, each counts the same"),
        card("Calibration error", percent(answered.calibration.error), surety(answered)),
    ]
    return element("div", cards, class_="cards")


def comparison(answered: Answered) -> Element:
    """The model beside the baseline and beside the simplest answer."""
    rows: list[list[Content]] = [_compared("This model", "a", answered.predicted, answered)]
    if answered.baseline is not None:
        rows.append(_compared(answered.baseline_name, "b", answered.baseline, answered))
    most = int(np.bincount(answered.truth, minlength=len(answered.classes)).argmax())
    always = np.full(len(answered), most)
    rows.append(_compared(f"Always “{answered.classes[most]}”", "c", always, answered))
    head = ["", "accuracy", "error", "macro F1"]
    parts: list[Content] = [
        element("h2", "Beside simpler classifiers"),
        table(f"Answers on {where(answered)}", head, rows),
    ]
    if answered.baseline is None:
        parts.append(element("p", f"{answered.baseline_name}."))
    return element("section", parts, agreement_of_baseline(answered), id="baseline")


def agreement_of_baseline(answered: Answered) -> list[Content]:
    """How often the model and the baseline are right about the same texts."""
    if (same := answered.agreement) is None:
        return []
    counts: list[list[Content]] = [["This model right", f"{same.both:,}", f"{same.only_first:,}"]]
    counts.append(["This model wrong", f"{same.only_second:,}", f"{same.neither:,}"])
    return [
        table("Texts by who is right", ["", "TF-IDF right", "TF-IDF wrong"], counts, class_="small"),
        element("p", _chance(same.p_value), class_="note"),
    ]


def confusion(answered: Answered) -> Element:
    """The confusion matrix, and, for more than two classes, the most frequent confusions."""
    parts: list[Content] = [element("h2", "What is taken for what")]
    if len(answered.classes) <= _LARGEST_MATRIX:
        parts.append(_matrix(answered))
        parts.append(element("p", "The deeper the colour, the larger the share of the row.", class_="note"))
    if len(answered.classes) > 2:
        parts.append(_confusions(answered))
    return element("section", parts, id="confusion")


def classes(answered: Answered) -> Element:
    """Precision, recall and F1 of each class."""
    scores, baseline = answered.scores, answered.baseline_scores
    head = ["class", "texts", "answered", "precision", "recall", "F1", *(["F1 of TF-IDF"] if baseline else [])]
    rows = []
    for number, name in enumerate(answered.classes):
        row: list[Content] = [label(name), f"{scores.support[number]:,}", f"{scores.answered[number]:,}"]
        row += [_barred(float(values[number])) for values in (scores.precision, scores.recall, scores.f1)]
        rows.append(row + ([_barred(float(baseline.f1[number]), "b")] if baseline else []))
    note = (
        "Precision: how many of the answers are right. Recall: how many of the class's texts are found. F1: their "
        "harmonic mean. A dash: not defined, for want of texts or answers."
    )
    parts = [element("h2", "Class by class"), table(f"Each class on {where(answered)}", head, rows)]
    return element("section", parts, element("p", note, class_="note"), id="classes")


def trust(answered: Answered, counted: str = "texts") -> Element:
    """The calibration curve, and how sure the right and the wrong answers are; `counted` is what has an answer."""
    curve = answered.calibration
    first = int(np.flatnonzero(curve.counts)[0])
    sure = histogram(
        "How sure are right and wrong answers?",
        curve.edges[first:].tolist(),
        [("right", curve.right[first:].tolist()), ("wrong", (curve.counts - curve.right)[first:].tolist())],
        "confidence of the answer",
        counted,
        percent=True,
    )
    rows = [
        [f"{low:.0%} to {high:.0%}", f"{count:,}", percent(mean), percent(accuracy)]
        for low, high, count, mean, accuracy in zip(
            curve.edges[:-1], curve.edges[1:], curve.counts, curve.confidence, curve.accuracy, strict=True
        )
        if count
    ]
    numbers = element(
        "details",
        element("summary", "The numbers"),
        table("Confidence and accuracy", ["confidence", counted, "mean confidence", "accuracy"], rows, class_="small"),
    )
    says = (
        f"Expected calibration error {curve.error:.1%}: so far is the confidence from the share of right answers, on "
        f"average. Mean confidence {answered.confidence.mean():.1%}, accuracy {answered.right.mean():.1%}. Points "
        "below the dashed line: surer than right."
    )
    charts = element("div", calibration_chart(curve), sure, class_="charts")
    return element(
        "section", element("h2", "How far to trust its probabilities"), charts, element("p", says), numbers, id="trust"
    )


def card(name: str, figure: str, note: str) -> Element:
    """One figure with what it is and a remark."""
    return element(
        "div",
        element("h3", name),
        element("p", figure, class_="figure"),
        element("p", note, class_="note"),
        class_="card",
    )


def _baselinecard(answered: Answered) -> Element:
    if answered.baseline is None:
        return card("TF-IDF baseline", "–", answered.baseline_name)
    accuracy = float((answered.baseline == answered.truth).mean())
    gain = 100 * (float(answered.right.mean()) - accuracy)
    better = (
        f"this model is {abs(gain):.1f} points {'better' if gain > 0 else 'worse'}"
        if round(gain, 1)
        else "no difference"
    )
    return card("TF-IDF baseline", percent(accuracy), f"{better}; {_briefly(answered)}")


def _briefly(answered: Answered) -> str:
    assert answered.agreement is not None  # as there is a baseline
    p_value = answered.agreement.p_value
    return "more than chance explains" if p_value < 0.05 else "chance can explain that"


def _chance(p_value: float) -> str:
    written = "less than 0.1%" if p_value < 0.001 else f"{p_value:.1%}"
    return f"Two equally good classifiers would differ as much or more with a probability of {written} (sign test)."


def surety(answered: Answered) -> str:
    """Confidence beside accuracy in words."""
    gap = float(answered.confidence.mean() - answered.right.mean())
    if abs(gap) < 0.02:
        return "it is about as sure as it is right"
    sure, right = float(answered.confidence.mean()), float(answered.right.mean())
    return f"on average it is {sure:.0%} sure and {right:.0%} right"


def _compared(name: str, kind: str, predicted: np.ndarray, answered: Answered) -> list[Content]:
    accuracy = float((predicted == answered.truth).mean())
    macro_f1 = class_scores(confusion_matrix(answered.truth, predicted, len(answered.classes))).macro_f1
    return [name, bar(accuracy, f"{accuracy:.1%}", kind), f"{1 - accuracy:.1%}", percent(macro_f1)]


def _matrix(answered: Answered) -> Element:
    matrix = answered.confusion
    rows: list[list[Content]] = []
    for number, name in enumerate(answered.classes):
        total = int(matrix[number].sum())
        cells = []
        for other, count in enumerate(matrix[number].tolist()):
            share = count / total if total else 0.0
            kind = "right" if other == number else "wrong"
            cells.append(
                element(
                    "td",
                    element("span", f"{count:,}"),
                    " ",
                    element("span", f"{share:.0%}" if total else "–", class_="note"),
                    class_=f"heat {kind}",
                    style=f"--share:{share if kind == 'right' else share**0.5:.2f}",
                )
            )
        rows.append([label(name), *cells, f"{total:,}"])
    head: list[Content] = ["is ↓ answered →", *(label(name) for name in answered.classes), "texts"]
    return table(f"Classes (rows) and answers (columns) on {where(answered)}", head, rows, class_="matrix")


def _confusions(answered: Answered) -> Content:
    wrong = answered.confusion - np.diag(np.diag(answered.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(answered.classes)) for place in order if wrong.flat[place]]
    if not pairs:
        return None
    most = float(wrong.max())
    rows = [
        [
            label(answered.classes[truth]),
            element("td", label(answered.classes[said]), class_="name"),
            bar(wrong[truth, said] / most, f"{wrong[truth, said]:,}", "b"),
        ]
        for truth, said in pairs
    ]
    return table("The most frequent confusions", ["is", "answered", "texts"], rows, class_="small pairs")


def _barred(share: float, kind: str = "a") -> Content:
    return "–" if math.isnan(share) else bar(share, f"{share:.1%}", kind)


def percent(share: float) -> str:
    """A share for people, a dash where it is not defined."""
    return "–" if math.isnan(share) else f"{share:.1%}"
