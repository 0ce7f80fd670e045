"""Distillation on IMDb: the shipped classifiers learn on from reviews that all of them and n-grams have labelled.

    python experiments/distil.py --data-dir DATA --out RUN --unlabeled 20000 --precision bfloat16 --mantissa-bits 3

The teacher is the ensemble of `--students`, with n-grams of the 25,000 training reviews; it labels `--unlabeled`
unsupervised reviews that are not test reviews too. Each student learns from these and from `--train-docs` training
reviews, one epoch over all layers. All test reviews are read once by each, with its weights as stored, and serve the
figures of the students' mean and of n-grams beside them. RUN keeps the teacher's answers, training states, `models/`,
`NAME-test.npy` (probabilities of the test reviews) and `results.json`; the same command goes on.
"""

from __future__ import annotations

import argparse
import time
from functools import cached_property
from pathlib import Path

import numpy as np

from imdb import ABOUT, figures, figures_with_ngrams
from running import Results, run_or_explain
from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.classifier_fit import FURTHER
from ulmfit_jax.data import TextDataset, read_dataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.self_training import drawn_rounds
from ulmfit_jax.training.recipes import FURTHER_RATE, FURTHER_SPREAD

MEASURING = {"data_dir", "out", "hardware"}
"""Options that change no figure."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of prepared TFDS data sets")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument(
        "--students",
        nargs="+",
        default=["imdb-small", "imdb-small-backward"],
        metavar="MODEL",
        help="classifiers, by name or folder; together the teacher",
    )
    parser.add_argument("--unlabeled", type=int, default=20_000, help="unsupervised reviews that the teacher labels")
    parser.add_argument("--train-docs", type=int, default=0, help="training reviews to learn from beside them")
    parser.add_argument("--learning-rate", type=float, default=FURTHER_RATE, help="peak rate of the head")
    parser.add_argument("--lr-mult", type=float, default=FURTHER_SPREAD, help="that over the embedding's")
    parser.add_argument("--drop-mult", type=float, default=0.5, help="scales the dropouts")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of products; bfloat16 where fast")
    parser.add_argument("--mantissa-bits", type=int, help="of the stored classifiers' weights; 3 for small folders")
    parser.add_argument("--hardware", default="2 CPU cores", help="said on the cards")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(validation_fraction=0.0)
    return parser.parse_args()


class Distillation:
    """Its steps over one run folder."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        options.out.mkdir(parents=True, exist_ok=True)
        named = {name: value for name, value in vars(options).items() if name not in MEASURING}
        self.results = Results(options.out / "results.json", named)
        self.names = [Path(model).name for model in options.students]
        if len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"two of the students are called {max(self.names, key=self.names.count)}: rename a folder"
            )

    def run(self) -> None:
        """Every student, then all of them together."""
        for model, name in zip(self.options.students, self.names, strict=True):
            if name not in self.results:
                self.teach(model, name)
        self.measure()
        for name, result in self.results.items():
            print(f"{name}: {result['error']:.2%} of {result['n']:,} test reviews wrong, loss {result['loss']:.3f}")

    def teachers_answers(self) -> np.ndarray:
        """Probabilities `[reviews, classes]` that all students as they were, and n-grams, give the unlabelled reviews;
        kept."""
        place, (train, _, others) = self.options.out / "teacher.npy", self.data
        if not place.exists():
            print(f"n-grams learn from the training reviews; then {len(others):,} others are read by the teacher")
            teacher = Ensemble([self.loaded(model) for model in self.options.students])
            teacher.learn_ngrams(train.texts, train.labels or [])
            np.save(place, teacher.predict_proba(others))
        answers: np.ndarray = np.load(place)
        return answers

    @cached_property
    def data(self) -> tuple[TextDataset, TextDataset, list[str]]:
        """Training and test reviews, and those to label."""
        train, test = (self.read(f"tfds:imdb_reviews:{split}") for split in ("train", "test"))
        others = self.read("tfds:imdb_reviews:unsupervised", require_labels=False)
        pool = sorted(set(others.texts).difference(train.texts, test.texts))
        return train, test, drawn_rounds(pool, (self.options.unlabeled,), self.options.seed)[0]

    def read(self, source: str, require_labels: bool = True) -> TextDataset:
        """A split of IMDb."""
        return read_dataset(source, data_dir=self.options.data_dir, require_labels=require_labels)

    def loaded(self, model: str | Path) -> TextClassifier:
        """A classifier that answers and learns as the options say."""
        options = self.options
        chosen = {name: getattr(options, name) for name in ("precision", "seed", "drop_mult", "validation_fraction")}
        return TextClassifier.load(model, precision=options.precision).set_params(**chosen, verbose=True)

    def teach(self, model: str, name: str) -> None:
        """Let one student learn; save and measure it."""
        options, student = self.options, self.loaded(model)
        train, test, others = self.data
        texts, targets = others, self.teachers_answers()
        if options.train_docs:
            known = train.select(np.random.default_rng(options.seed).permutation(len(train))[: options.train_docs])
            certain = np.eye(len(student.class_names))[label_indices(known, student.class_names)]
            texts, targets = [*texts, *known.texts], np.concatenate([targets, certain])
        print(f"\n{name} learns from {len(texts):,} reviews, {len(others):,} of which the teacher has labelled")
        rates = {"learning_rate": options.learning_rate, "lr_mult": options.lr_mult}
        student.learn_from(texts, targets, epochs=1, **rates, run_dir=options.out / name, workers=2)
        minutes = student.seconds_[FURTHER] / 60
        stored, size = options.out / "models" / name, {"half_precision": True, "mantissa_bits": options.mantissa_bits}
        student.save(stored, **size)
        student = self.loaded(stored)  # what is measured is what is kept
        probabilities = student.predict_proba(test.texts)
        np.save(options.out / f"{name}-test.npy", probabilities)
        result = figures(student, probabilities, test)
        measures = {
            "test error": f"{result['error']:.2%} of {result['n']:,} reviews, with the weights as stored",
            "minutes of distillation": f"{minutes:.0f}, without those of the labels, on {options.hardware}",
            "date": time.strftime("%Y-%m-%d"),
        }
        student.save(stored, **size, provenance={"measures": measures, **ABOUT})
        self.results.add({name: {**result, "minutes": minutes}})

    def measure(self) -> None:
        """The mean of all students, and each and all with n-grams, from the probabilities that each has given."""
        train, test, _ = self.data
        students = [TextClassifier.load(self.options.out / "models" / name) for name in self.names]
        answers = [np.load(self.options.out / f"{name}-test.npy") for name in self.names]
        mean = np.mean(answers, axis=0)
        self.results.add({"mean": figures(Ensemble(students), mean, test)})
        for name, members, given in zip(
            [*self.names, "mean"], [*([student] for student in students), students], [*answers, mean], strict=True
        ):
            place = self.options.out / "models" / f"{name}-ngrams"
            found = figures_with_ngrams(Ensemble(members), self.options, train, test, given, place)
            self.results.add({f"{name} with n-grams": found})


def main() -> None:
    """Run, or say in one sentence what is wrong."""
    options = arguments()
    run_or_explain("distil", lambda: Distillation(options).run())


if __name__ == "__main__":
    main()
