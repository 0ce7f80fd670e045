from __future__ import annotations

import subprocess
import sys

HEAVY = {"tensorflow", "tensorflow_datasets", "array_record", "pandas", "pyarrow", "jax"}


def test_the_room_loads_nothing_heavy_until_it_is_called_for():
    command = f"import sys, ulmfit_jax.data; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
