"""What can be chosen of a classifier's training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ulmfit_jax.class_weights import ClassWeight, check_class_weight
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.nn.architecture import CLASSIFIER_DROPOUTS, LANGUAGE_MODEL_DROPOUTS
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.products import check_precision
from ulmfit_jax.option_ranges import check_from_zero, check_lr_mult, check_positive, check_seed, make_whole

_WHOLE = (
    "lm_epochs",
    "lm_batch_size",
    "batch_size",
    "patience",
    "skip_nonfinite",
    "max_length",
    "bptt",
    "seed",
    "devices",
)

RECIPES = ("gradual_unfreezing", "fine_tune", "linear_probe")


@dataclass(frozen=True)
class ClassifierOptions:
    """What can be chosen of a classifier's training; `TextClassifier` documents each. None: by the data."""

    pretrained: str | Path | LanguageModel | None
    preset: str | None
    recipe: str
    lm_epochs: int | None
    lm_learning_rate: float | None
    lm_drop_mult: float | None
    lm_batch_size: int | None
    epochs: int | Sequence[int] | None
    learning_rate: float | None
    lr_mult: float | None
    drop_mult: float
    pool_layers: str
    hidden: Sequence[int]
    batch_size: int | None
    label_smoothing: float
    adversarial: float
    class_weight: ClassWeight
    weight_decay: float
    validation_fraction: float
    self_training: int | Sequence[int]
    cache_frozen: bool
    keep_best: bool
    patience: int | None
    skip_nonfinite: int
    max_length: int
    bptt: int
    precision: str | None
    seed: int
    devices: int | None
    verbose: bool

    def __post_init__(self) -> None:
        if self.pretrained is not None and self.preset is not None:
            raise ConfigError("preset is only for pretrained=None: a pretrained model has its own sizes")
        self._check_hidden()
        make_whole(self, *_WHOLE, several=("epochs", "self_training", "hidden"))
        check_seed(self.seed)
        if not isinstance(self.self_training, int) and min(self.self_training, default=0) < 1:
            raise ConfigError(f"self_training is {self.self_training}: it counts the texts of each round, at least one")
        if isinstance(self.self_training, int) and self.self_training < 0:
            raise ConfigError(f"self_training is {self.self_training}: it counts texts, 0 for none")
        check_positive(learning_rate=self.learning_rate, lm_learning_rate=self.lm_learning_rate)
        check_positive(batch_size=self.batch_size, lm_batch_size=self.lm_batch_size)
        check_positive(max_length=self.max_length, bptt=self.bptt, patience=self.patience)
        check_from_zero(lm_epochs=self.lm_epochs, weight_decay=self.weight_decay, skip_nonfinite=self.skip_nonfinite)
        check_class_weight(self.class_weight)
        check_precision(self.precision)
        self.head(2, multi_label=False)
        CLASSIFIER_DROPOUTS.scaled(self.drop_mult)  # in range, or refused
        LANGUAGE_MODEL_DROPOUTS.scaled(1.0 if self.lm_drop_mult is None else self.lm_drop_mult)
        if self.lr_mult is not None:
            check_lr_mult(self.lr_mult)
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing is {self.label_smoothing}: it is at least 0 and below 1")
        check_from_zero(adversarial=self.adversarial)
        if self.recipe not in RECIPES:
            raise ConfigError(f"recipe is {self.recipe!r}: choose one of {', '.join(RECIPES)}")
        if self.is_probe:
            without: dict[str, float | None] = {"epochs": None, "learning_rate": None, "lr_mult": None}
            without |= {"label_smoothing": 0.0, "adversarial": 0.0, "drop_mult": 0.5, "weight_decay": 0.01}
            without |= {"keep_best": False, "patience": None}
            for name, nothing in without.items():
                if (value := getattr(self, name)) != nothing:
                    raise ConfigError(f"{name} is {value}: linear_probe fits a head at once and has none, leave it out")
            if tuple(self.hidden) not in ((50,), ()):
                raise ConfigError(f"hidden is {self.hidden}: linear_probe's head has no hidden layers, leave it out")

    @property
    def is_probe(self) -> bool:
        """Whether the head is fitted to the vectors of an encoder that stays as it is."""
        return self.recipe == "linear_probe"

    def _check_hidden(self) -> None:
        if isinstance(self.hidden, str) or not isinstance(self.hidden, Iterable):
            raise ConfigError(f"hidden is {self.hidden!r}: give the size of each hidden layer, such as (50,), or ()")
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def head(self, n_classes: int, multi_label: bool) -> Head:
        """The head of a new classifier, with fastai's dropout after each hidden layer.

        Raises:
            ConfigError: there cannot be such a head.
        """
        hidden = () if self.is_probe else tuple(self.hidden)
        return Head(n_classes, hidden, (0.1,) * len(hidden), multi_label, self.pool_layers)

    @property
    def rounds(self) -> tuple[int, ...]:
        """Texts of each round of self-training, none without it."""
        if isinstance(self.self_training, int):
            return (self.self_training,) if self.self_training else ()
        return tuple(self.self_training)

    @property
    def start_name(self) -> str:
        """What the card calls the model that training started from."""
        if isinstance(self.pretrained, LanguageModel):
            return str(self.pretrained.pretrained or "a language model trained from scratch")
        return "scratch" if self.pretrained is None else str(self.pretrained)
