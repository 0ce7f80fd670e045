"""Models of other libraries in, and out again: weights and vocabularies of fastai's three generations."""

from ulmfit_jax.interop.fastai_export import export_fastai, fastai_state, fastai_words
from ulmfit_jax.interop.fastai_import import import_fastai

__all__ = ["export_fastai", "fastai_state", "fastai_words", "import_fastai"]
