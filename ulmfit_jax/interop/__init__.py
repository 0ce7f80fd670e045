"""Models of other libraries in, and out again: fastai's three generations, StableHLO programs, safetensors."""

from ulmfit_jax.interop.fastai_export import export_fastai, fastai_state, fastai_words
from ulmfit_jax.interop.fastai_import import import_fastai
from ulmfit_jax.interop.safetensors_file import export_safetensors, import_safetensors
from ulmfit_jax.interop.stablehlo_export import export_stablehlo

__all__ = [
    "export_fastai",
    "export_safetensors",
    "export_stablehlo",
    "fastai_state",
    "fastai_words",
    "import_fastai",
    "import_safetensors",
]
