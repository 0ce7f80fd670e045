"""The reference implementation, fastai 2, and torch, which it runs on: a test module that imports this is skipped where
they are not installed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch, which the reference implementation runs on, is not installed")
fastai = pytest.importorskip("fastai.text.all", reason="fastai, the reference implementation, is not installed")

torch.set_num_threads(1)  # more cost more than they give at the sizes of these tests
