from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.clipping import check_max_norm, clipping_scale


def test_large_gradients_are_scaled_to_the_norm_and_small_ones_left_alone() -> None:
    gradients = {"a": jnp.asarray([3.0], jnp.float32), "b": jnp.asarray([[0.0, 4.0]], jnp.float32)}
    np.testing.assert_allclose(clipping_scale(gradients, 0.5), 0.1, rtol=1e-6)
    assert float(clipping_scale(gradients, 5.1)) == 1.0


def test_no_gradient_at_all_is_left_alone() -> None:
    assert float(clipping_scale({"a": jnp.zeros(3, jnp.float32)}, 0.1)) == 1.0


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan")])
def test_impossible_norms_are_refused(max_norm: float) -> None:
    with pytest.raises(ConfigError, match="max_norm is"):
        check_max_norm(max_norm)
