"""The page as a whole: what a person asks first comes first, and the file needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from ulmfit_jax.counted import counted
from ulmfit_jax.report.course import data, done, times, training
from ulmfit_jax.report.elements import Content, as_html, element
from ulmfit_jax.report.facts import RunFacts
from ulmfit_jax.report.label_facts import AnsweredLabels
from ulmfit_jax.report.label_results import label_comparison, label_headline
from ulmfit_jax.report.mistakes import Mistake, mistakes_section
from ulmfit_jax.report.remarks import remarks
from ulmfit_jax.report.results import classes, comparison, confusion, headline, trust, where
from ulmfit_jax.report.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A browser loads and runs nothing, whatever the texts say."""

_TITLES = {
    "baseline": "Beside simpler classifiers",
    "confusion": "Confusions",
    "classes": "Class by class",
    "trust": "Calibration",
    "mistakes": "Mistakes",
    "training": "Training",
    "data": "Data",
    "time": "Time",
    "done": "What was done",
}
"""Links at the top, by the ids of the sections."""


def run_page(facts: RunFacts, mistakes: Sequence[Mistake] = ()) -> str:
    """The page of a run as HTML text.

    Args:
        facts: what the run has left.
        mistakes: from `most_confident`; shown where answers were measured.
    """
    answered, beside_ngrams = facts.answered, "ngrams" in facts.report
    sections = [training(facts), data(facts), times(facts), done(facts)]
    if isinstance(answered, AnsweredLabels):
        results = [label_comparison(answered), classes(answered), trust(answered, "labels of texts")]
        sections = [*results, mistakes_section(answered, mistakes, beside_ngrams), *sections]
    elif answered is not None:
        results = [comparison(answered), confusion(answered), classes(answered), trust(answered)]
        sections = [*results, mistakes_section(answered, mistakes, beside_ngrams), *sections]
    together = "and" if facts.artifact.multi_label else "or"
    title = f"{_listed(facts.artifact.labels, together)}: a text classifier"
    measured = f"Measured on {where(answered)}" if answered else "Not measured"
    provenance = facts.artifact.provenance
    with_ngrams = ", answering together with n-grams" if beside_ngrams else ""
    lead = (
        f"{measured}. Trained on {counted(len(facts.data) - facts.held_out, 'labelled text')}, from "
        f"{provenance.get('trained_from', 'scratch')}, seed {facts.report.get('seed', 0)}{with_ngrams}; {facts.date}."
    )
    links = [
        element("li", element("a", _TITLES[section.get("id", "")], href=f"#{section.get('id')}"))
        for section in sections
    ]
    head = element("header", element("h1", title), element("p", lead))
    contents = element("nav", element("ul", links), aria_label="Sections")
    body: list[Content] = [head, contents, element("main", _headline(facts), _remarks(facts), sections)]
    return document(title, body)


def document(title: str, body: Sequence[Content]) -> str:
    """A whole HTML document around the contents of its body."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", STYLE),
    )
    footer = element("footer", "Written by ulmfit-jax; this file needs no network.", class_="note")
    return "<!doctype html>\n" + as_html(element("html", head, element("body", body, footer), lang="en")) + "\n"


def _headline(facts: RunFacts) -> Element:
    answered = facts.answered
    return label_headline(answered) if isinstance(answered, AnsweredLabels) else headline(facts)


def _remarks(facts: RunFacts) -> Element | None:
    found = remarks(facts)
    if not found:
        return None
    points = element("ul", [element("li", sentence) for sentence in found])
    return element("section", element("h3", "Worth knowing"), points, class_="remarks")


def _listed(names: Sequence[str], together: str, most: int = 4) -> str:
    shown = [name if len(name) <= 30 else name[:29] + "…" for name in names[:most]]
    if len(names) > most:
        return ", ".join(shown) + f" and {len(names) - most} more"
    return f"{', '.join(shown[:-1])} {together} {shown[-1]}" if shown[1:] else shown[0]
