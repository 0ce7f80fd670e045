"""What scikit-learn asks of an estimator besides `fit` and `predict`: its parameters by name, and what kind it is."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self

from ulmfit_jax.errors import ArtifactError, ConfigError


@functools.cache
def _not_fitted_error() -> type[ArtifactError]:
    from sklearn.exceptions import NotFittedError

    return type("NotFittedError", (ArtifactError, NotFittedError), {"__module__": __name__})


def not_fitted(sentence: str) -> ArtifactError:
    """An error to raise before `fit`: an `ArtifactError` which is also scikit-learn's `NotFittedError`."""
    return _not_fitted_error()(sentence)


class Estimator:
    """The arguments of `__init__`, which each subclass keeps under their names, as scikit-learn's parameters.

    With it `sklearn.base.clone`, `Pipeline`, `cross_val_score` and `GridSearchCV` work; scikit-learn itself is imported
    only when it asks.
    """

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` changes nothing, as none is an estimator itself."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters; what has been trained stays until the next `fit`.

        Raises:
            ConfigError: there is no parameter of that name.
        """
        known = self._parameter_names()
        for name in parameters:
            if name not in known:
                raise ConfigError(f"{type(self).__name__} has no parameter {name!r}: it has {', '.join(known)}")
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The parameters that differ from their defaults."""
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """A classifier of texts: one-dimensional input of strings."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )
