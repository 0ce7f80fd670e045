"""The most confident mistakes, with the words that made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from ulmfit_jax.inference.coloured import FAINTEST, shares, strongest
from ulmfit_jax.inference.explain import Explanation
from ulmfit_jax.report.elements import Content, element, label
from ulmfit_jax.report.facts import Answered

SHOWN = 10
"""Mistakes on a page."""

_EXCERPT = 80
"""Words shown at once; of a longer text, those where the most important words are."""

_WHOLE = 5_000
"""Characters of a longer text that are shown on request."""


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        number: of the text in its source, from 1.
        text: the text.
        truth: its class.
        answer: the class that was answered.
        confidence: probability of the answer.
        probability: of the true class.
        baseline_right: whether the baseline gets it right; None without one.
        explanation: which words speak for the answer; None where words cannot be explained.
        kind: `class`; or, where a text may have several labels, `given` or `missed`: `answer` is then the label in
            question, `truth` all that apply, and the words speak for the label.
    """

    number: int
    text: str
    truth: str
    answer: str
    confidence: float
    probability: float
    baseline_right: bool | None
    explanation: Explanation | None
    kind: str = "class"


def most_confident(
    answered: Answered, explain: Callable[[str, str], Explanation] | None, count: int = SHOWN
) -> list[Mistake]:
    """The wrong answers with the highest probability, the surest first.

    Args:
        answered: the answers.
        explain: says which words of a text speak for a class; None explains nothing.
        count: how many.
    """
    wrong = np.flatnonzero(~answered.right)
    chosen = wrong[np.argsort(-answered.confidence[wrong], kind="stable")][:count]
    found = []
    for row in map(int, chosen):
        text, answer = answered.data.texts[row], answered.classes[answered.predicted[row]]
        found.append(
            Mistake(
                answered.rows[row],
                text,
                answered.classes[answered.truth[row]],
                answer,
                float(answered.confidence[row]),
                float(answered.probabilities[row, answered.truth[row]]),
                None if answered.baseline is None else bool(answered.baseline[row] == answered.truth[row]),
                explain(text, answer) if explain else None,
            )
        )
    return found


def mistakes_section(answered: Answered, mistakes: Sequence[Mistake], beside_ngrams: bool) -> Element:
    """The mistakes as a list; whether n-grams, which have no colours, answered beside the network."""
    wrong = int((~answered.right).sum())
    parts: list[Content] = [element("h2", "The most confident mistakes")]
    if not wrong:
        parts.append(element("p", "There are none: every answer is right."))
        return element("section", parts, id="mistakes")
    explained = any(mistake.explanation is not None for mistake in mistakes)
    says = f"{len(mistakes)} of {wrong:,} wrong answers, the surest first. Some may be wrong labels, not wrong answers."
    single = all(mistake.kind == "class" for mistake in mistakes)
    if explained:
        says += (
            f" Words on blue speak for the {'answer' if single else 'label'}, words on orange (dotted) against it, by "
            f"the slope of its log odds in the word's embedding{', in the network alone' if beside_ngrams else ''}."
        )
    parts.append(element("p", says))
    parts.append(element("ol", [_shown(mistake, answered.data.source) for mistake in mistakes], class_="mistakes"))
    return element("section", parts, id="mistakes")


def _shown(mistake: Mistake, source: str) -> Element:
    about = f"text {mistake.number:,} of {source}"
    if mistake.baseline_right is not None:
        about += f"; TF-IDF gets it {'right' if mistake.baseline_right else 'wrong too'}"
    answer, truth = (element("strong", label(name)) for name in (mistake.answer, mistake.truth))
    if mistake.kind == "class":
        sure = f" ({mistake.confidence:.1%} sure), is "
        head = element("h3", "answered ", answer, sure, truth, f" ({mistake.probability:.1%})")
    else:
        says = {"given": "gives ", "missed": "misses "}[mistake.kind]
        head = element("h3", says, answer, f" ({mistake.probability:.1%}); right: ", truth)
    return element("li", head, _words(mistake), element("p", about, class_="note"))


def _words(mistake: Mistake) -> list[Content]:
    """The text, coloured where it is explained."""
    if mistake.explanation is None or not mistake.explanation.words:
        cut = mistake.text[:_WHOLE] + ("…" if len(mistake.text) > _WHOLE else "")
        return [element("p", cut or "(an empty text)", class_="text", dir="auto")]
    words = list(shares(mistake.explanation))
    first = best_window([abs(share) for _, share in words], _EXCERPT)
    last = min(first + _EXCERPT, len(words))
    shown: list[Content] = [f"… ({first:,} words before) "] if first else []
    for word, share in words[first:last]:
        shown += [_coloured(word, share), " "]
    if last < len(words):
        shown.append(f"… ({len(words) - last:,} words after)")
    parts: list[Content] = [element("p", shown, class_="text", dir="auto"), _strongest(mistake.explanation)]
    if last - first < len(words):
        whole = mistake.text[:_WHOLE] + ("…" if len(mistake.text) > _WHOLE else "")
        parts.append(
            element("details", element("summary", "The text as it was given"), element("p", whole, dir="auto"))
        )
    return parts


def best_window(weights: Sequence[float], width: int) -> int:
    """Where the `width` neighbours with the largest sum begin; the first such place."""
    if len(weights) <= width:
        return 0
    totals = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])
    return int(np.argmax(np.round(totals[width:] - totals[:-width], 9)))


def _coloured(word: str, share: float) -> Content:
    if abs(share) < FAINTEST:
        return word
    return element("span", word, class_="for" if share > 0 else "against", style=f"--share:{abs(share):.2f}")


def _strongest(explanation: Explanation) -> Content:
    pro, con = ([word for word, _ in words] for words in strongest(explanation))
    parts: list[Content] = []
    for name, words in (("Most for it: ", pro), ("Most against it: ", con)):
        if words:
            parts += [name, element("bdi", ", ".join(words)), ". "]
    return element("p", parts, class_="note") if parts else None
