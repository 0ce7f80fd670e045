"""The second half of the page: how the training went, what it was given, what it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.report.axes import round_ticks
from ulmfit_jax.report.charts import Series, histogram, line_chart
from ulmfit_jax.report.elements import Content, bar, element, label, table
from ulmfit_jax.report.facts import RunFacts
from ulmfit_jax.report.found_rates import found_rates
from ulmfit_jax.report.stages import StageRecord, TrainingRecord

_MEASURED = {
    "valid_loss": "held-out loss",
    "error_rate": "held-out error",
    "micro_f1": "held-out micro F1",
    "perplexity": "held-out perplexity",
}
"""Columns of the table of epochs that are shown, by their titles."""

_BINS = 20
"""Bars of the histogram of lengths, about."""


def training(facts: RunFacts) -> Element:
    """Curves and tables of each training, the language model's first."""
    parts: list[Content] = [element("h2", "How the training went")]
    for record in facts.trainings:
        borders = [(float(stage.first_step), float(stage.last_step)) for stage in record.stages]
        unit = "nats per label of a text" if facts.artifact.multi_label else "nats per text"
        charts = element("div", _losses(record, borders, unit), _rates(record, borders), class_="charts")
        parts += [element("h3", record.name), charts, _stages(record)]
    if not facts.trainings:
        parts.append(element("p", "The run folder holds no table of epochs."))
    if best := facts.artifact.provenance.get("best_epoch"):
        where = f"epoch {best['epoch'] + 1} of {best['stage']}, " if {"epoch", "stage"} <= best.keys() else ""
        figures = ", ".join(f"{title} {_figure(name, best[name])}" for name, title in _MEASURED.items() if name in best)
        last = f"{facts.trainings[-1].name}: " if facts.trainings else ""
        kept = f"{last}what was kept is the model after {where}training step {best['step']:,}: {figures}."
        parts.append(element("p", kept))
    if (found := facts.report.get("learning_rates")) is not None:
        firsts = [record.stages[0] for record in facts.trainings if record.part == "classifier"]
        peaks = [first.peaks[-1] for first in firsts if not first.stage.is_fitted]
        parts += found_rates(found, peaks[0] if peaks else None)
    return element("section", parts, id="training")


def data(facts: RunFacts) -> Element:
    """What was learnt from: counts, classes, lengths."""
    parts: list[Content] = [element("h2", "What it learnt from"), _classes(facts), _lengths(facts)]
    return element("section", parts, id="data")


def times(facts: RunFacts) -> Element:
    """Seconds of each stage and of the measuring."""
    seconds: dict[str, float] = facts.report.get("seconds", {})
    total = sum(seconds.values())
    rows: list[list[Content]] = [
        [name, bar(value / total if total else 0.0, clock(value)), f"{value / total:.0%}" if total else "–"]
        for name, value in seconds.items()
    ]
    rows.append(["together", element("td", clock(total), class_="barred"), ""])
    made = table("Time of the epochs of each stage, and of measuring", ["", "time", "share"], rows, class_="small")
    return element("section", element("h2", "What it took"), made, id="time")


def done(facts: RunFacts) -> Element:
    """The model, its settings, the software, the command."""
    provenance, sizes = facts.artifact.provenance, facts.artifact.architecture
    tokenizer = facts.artifact.tokenizer
    reading = "backwards" if facts.artifact.backwards else "forwards"
    rows: list[list[Content]] = [
        ["Started from", str(provenance.get("trained_from", "–"))],
        ["Recipe", str(provenance.get("recipe", "–")).replace("_", " ")],
        ["Stages", "; ".join(map(str, provenance.get("stages", [])))],
        ["Encoder", f"AWD-LSTM, {sizes.n_layers} layers, {sizes.hidden_size:,} hidden and {sizes.embedding_size:,} "
         f"embedding features, reading {reading}"],
        ["Parameters", f"{_count(facts.artifact.parameters):,}"],
        ["Tokeniser", f"{tokenizer.kind}, {len(tokenizer.vocabulary):,} entries"],
        ["Seed", str(facts.report.get("seed", "–"))],
        ["Device", facts.device],
        ["Software", ", ".join(f"{name} {number}" for name, number in facts.versions.items())],
        ["Model folder", str(facts.report.get("model", "–"))],
    ]  # fmt: skip
    settings = [
        [name.replace("_", " "), *(_plain(record.settings.get(name)) for record in facts.trainings)]
        for name in dict.fromkeys(name for record in facts.trainings for name in record.settings)
    ]
    more: list[Content] = [
        element("summary", "All settings"),
        table(
            "Settings of each training", ["", *(record.name for record in facts.trainings)], settings, class_="small"
        ),
    ]
    return element(
        "section",
        element("h2", "What was done"),
        element("p", "The command:"),
        element("pre", facts.command),
        table("The model and where it comes from", ["", ""], rows, class_="facts"),
        element("details", more) if facts.trainings else None,
        id="done",
    )


def clock(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _losses(record: TrainingRecord, borders: Sequence[tuple[float, float]], unit: str) -> Element | None:
    lines = {
        name: [stage.points(column) for stage in record.stages]
        for name, column in (("training (smoothed)", "train_loss"), ("held-out texts", "valid_loss"))
    }
    series = [Series(name, points, kind) for kind, (name, points) in zip("ab", lines.items(), strict=True)]
    title = f"loss ({'nats per token' if record.part == 'language_model' else unit})"
    if not any(map(any, (one.lines for one in series))):
        return None  # no epoch had a finite loss
    return line_chart(f"{record.name}: loss after each epoch", series, "training step", title, borders)


def _rates(record: TrainingRecord, borders: Sequence[tuple[float, float]]) -> Element | None:
    if all(one.stage.is_fitted for one in record.stages):
        return None
    low = [one.rates(one.peaks[0]) for one in record.stages if one.peaks[0] != one.peaks[-1]]
    name = "of the last layer that trains" if low else "of all layers that train"
    series = [Series(name, [one.rates(one.peaks[-1]) for one in record.stages], "a", False)]
    if low:
        series.append(Series("of the first layer that trains", low, "b", False))
    return line_chart(
        f"{record.name}: learning rate", series, "training step", "learning rate", borders, from_zero=True
    )


def _stages(record: TrainingRecord) -> Element:
    measured = [name for name in _MEASURED if name in record.stages[-1].rows[-1]]
    head = ["stage", "trains", "epochs", "steps", "peak rate", "training loss", *(_MEASURED[name] for name in measured)]
    rows = [
        [
            f"{number} {one.stage.name}",
            _trained(one),
            f"{len(one.rows)}" + (f" of {one.stage.epochs}" if len(one.rows) < one.stage.epochs else ""),
            f"{one.last_step - one.first_step:,}",
            "–" if one.stage.is_fitted else _rate(one.peaks),
            *(_figure(name, one.rows[-1].get(name)) for name in ("train_loss", *measured)),
            clock(one.seconds),
        ]
        for number, one in enumerate(record.stages, 1)
    ]
    return table(f"{record.name}: stages, with the figures of their last epochs", [*head, "time"], rows)


def _trained(one: StageRecord) -> str:
    if one.stage.freeze_to == 0:
        return "all layers"
    names = [_spoken(name) for name in one.groups]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"


def _spoken(group: str) -> str:
    """A layer group as people count layers, from 1."""
    if group.startswith("lstm_"):
        return f"LSTM {int(group.removeprefix('lstm_')) + 1}"
    return group.replace("_", " and ")


def _rate(peaks: Sequence[float]) -> str:
    low, high = min(peaks), max(peaks)
    return f"{high:.2g}" if low == high else f"{low:.2g} to {high:.2g}"


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return {"error_rate": f"{value:.1%}", "micro_f1": f"{value:.1%}", "perplexity": f"{value:,.1f}"}.get(
        name, f"{value:.4f}"
    )


def _classes(facts: RunFacts) -> Element:
    counts = facts.data.texts_by_label()
    test = facts.answered.data if facts.answered and facts.answered.name == "test" else None
    tested = None if test is None else test.texts_by_label()
    most = max(counts.values())
    rows = []
    for name in facts.artifact.labels:
        row: list[Content] = [
            label(name),
            bar(counts[name] / most, f"{counts[name]:,}"),
            f"{counts[name] / len(facts.data):.1%}",
        ]
        rows.append(row + ([f"{tested[name]:,}"] if tested is not None else []))
    total: list[Content] = ["together", element("td", f"{len(facts.data):,}", class_="barred"), ""]
    rows.append(total + ([f"{len(test):,}"] if test is not None else []))
    head = ["class", "labelled texts", "share", *(["test texts"] if tested is not None else [])]
    unlabelled = int(facts.report.get("documents", {}).get("unlabelled", 0))
    were = "was" if facts.held_out == 1 else "were"
    more = f"{facts.held_out:,} of the labelled texts measured each epoch and {were} not trained on."
    if facts.report.get("transductive"):
        more += " The test texts, without their labels, were among those without labels."
    more += f" {counted(unlabelled, 'more text')} without labels." if unlabelled else " No texts without labels."
    return element("div", table("Texts of each class", head, rows, class_="small"), element("p", more))


def _lengths(facts: RunFacts) -> Element:
    lengths = facts.tokens.lengths
    median, most = np.quantile(lengths, [0.5, 0.95])
    edges, shown = length_bins(lengths)
    beyond = int((lengths > edges[-1]).sum())
    says = (
        f"{facts.tokens.n_tokens:,} tokens in all; half of the texts have at most {median:,.0f}, 95 % at most "
        f"{most:,.0f}, the longest {int(lengths.max()):,}."
    )
    if beyond:
        says += f" {beyond:,} {'text is' if beyond == 1 else 'texts are'} longer than the chart shows."
    if facts.unknown_share is not None:
        says += f" Unknown words: {facts.unknown_share:.2%} of the tokens."
    else:
        says += " The tokeniser cuts unknown words into pieces, so that none is lost."
    chart = histogram("How long are the texts?", edges, [("texts", shown)], "tokens of a labelled text", "texts")
    return element("div", element("div", chart, class_="charts"), element("p", says))


def length_bins(lengths: np.ndarray) -> tuple[list[float], list[int]]:
    """Bins of a round width up to the 98 % quantile, and the texts in each: `edges` one more than `counts`."""
    high = max(float(np.quantile(lengths, 0.98)), 1.0)
    ticks = round_ticks(0.0, high, _BINS)
    width = max(ticks[1] - ticks[0], 1.0)
    edges = np.arange(0, int(np.ceil(high / width)) + 1) * width
    counts, _ = np.histogram(lengths[lengths <= edges[-1]], edges)
    return edges.tolist(), counts.tolist()


def _count(tree: Any) -> int:
    return sum(map(_count, tree.values())) if isinstance(tree, dict) else int(np.size(tree))


def _plain(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
