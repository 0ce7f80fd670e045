"""ULMFiT for JAX: text classification by transfer from an AWD-LSTM language model.

from ulmfit_jax import TextClassifier

model = TextClassifier(verbose=True).fit(texts, labels, unlabeled=more_texts)
model.predict(["What a lovely surprise."])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError, TrainingError, UlmfitError

if TYPE_CHECKING:
    from ulmfit_jax.ensemble import Ensemble, load_classifier
    from ulmfit_jax.language_model import LanguageModel
    from ulmfit_jax.text_classifier import TextClassifier

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "ConfigError",
    "DataError",
    "Ensemble",
    "LanguageModel",
    "TextClassifier",
    "TrainingError",
    "UlmfitError",
    "load_classifier",
]

_LAZY = {
    "Ensemble": "ulmfit_jax.ensemble",
    "LanguageModel": "ulmfit_jax.language_model",
    "TextClassifier": "ulmfit_jax.text_classifier",
    "load_classifier": "ulmfit_jax.ensemble",
}


def __dir__() -> list[str]:
    """What there is to use, also what is not imported yet."""
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Import the faces, and JAX with them, when they are first asked for."""
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
