"""How fast this machine is, in seconds: a matrix product, and a training step of a tiny language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.checks import Check

if TYPE_CHECKING:
    from ulmfit_jax.training.measurement import Timing

_SIDE = 1024
_ROWS, _TIME, _VOCABULARY = 16, 72, 1000


def products() -> Check:
    """Rate of a product of two square matrices in the precisions of training, in 10^9 operations a second."""
    import jax
    import jax.numpy as jnp

    from ulmfit_jax.nn.products import PRECISIONS, product
    from ulmfit_jax.training.measurement import timed

    operand = jnp.ones((_SIDE, _SIDE), jnp.float32)
    multiply: Any = jax.jit(product, static_argnums=(0, 3))
    rates = {}
    for precision in PRECISIONS:
        timing = timed(lambda precision=precision: multiply("ij,jk->ik", operand, operand, precision))  # type: ignore[misc]
        rates[precision] = 2 * _SIDE**3 / timing.each / 1e9
    return Check("matrix product", ", ".join(f"{rate:,.0f} GFLOP/s in {name}" for name, rate in rates.items()))


def training_step() -> Check:
    """Time of a training step of a language model of the preset `tiny`, all layers."""
    timing = _time_step()
    tokens = _ROWS * _TIME / timing.each
    text = f"{1000 * timing.each:,.0f} ms, {tokens:,.0f} tokens/s (preset tiny), compiled in {timing.compiling:,.1f} s"
    return Check("training step", text)


def _time_step() -> Timing:
    import numpy as np

    from ulmfit_jax.data import Corpus, LanguageModelStream
    from ulmfit_jax.nn.architecture import preset
    from ulmfit_jax.training.language_model import LanguageModelTask
    from ulmfit_jax.training.mapping import Devices
    from ulmfit_jax.training.measurement import timed_steps
    from ulmfit_jax.training.recipes import pretrain_stages

    devices = Devices(1)
    tokens = np.random.default_rng(0).integers(10, _VOCABULARY, _ROWS * _TIME + 1)
    stream = LanguageModelStream(Corpus.from_arrays([tokens]), _ROWS, _TIME)
    task = LanguageModelTask(preset("tiny", _VOCABULARY), stream, None, devices)
    parameters, _ = task.definition.initialise(0)
    return timed_steps(task, pretrain_stages()[0], parameters, {}, devices, [next(task.train_batches(0, 0))])[0]
