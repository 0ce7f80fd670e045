"""What the sum of the gradients over processes takes: the one communication of a training step.

    python benchmarks/all_reduce.py                             # two processes on this machine, over loopback
    python benchmarks/all_reduce.py --processes 4 --preset ulmfit

Each process holds float32 gradients of the whole network and gets the sum over all, by `jax.pmap` as a training step
does; the median of 10. Figures: docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time


def parameters(preset_name: str) -> int:
    """How many a language model of this preset has, with 8,192 pieces."""
    import jax

    from ulmfit_jax.nn.architecture import preset
    from ulmfit_jax.training.language_model import language_model_definition

    tree, _ = language_model_definition(preset(preset_name, 8_192)).initialise(0)
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def member(options: argparse.Namespace) -> None:
    """One process: sum, and let the first print."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    number, address = int(options.member[0]), options.member[1]
    jax.config.update("jax_platforms", "cpu")
    jax.distributed.initialize(address, options.processes, number)
    size = parameters(options.preset)
    total = jax.pmap(lambda array: lax.psum(array, "devices"), axis_name="devices")
    gradients = jnp.ones((jax.local_device_count(), size), jnp.float32)
    total(gradients).block_until_ready()
    times = []
    for _ in range(10):
        began = time.perf_counter()
        total(gradients).block_until_ready()
        times.append(time.perf_counter() - began)
    if number == 0:
        print(
            f"{options.processes} processes, {size:,} parameters, {4 * size / 1e6:.0f} MB: "
            f"{statistics.median(times):.3f} s ({min(times):.3f} to {max(times):.3f})"
        )


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--member", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member:
        member(options)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, __file__, "--preset", options.preset, "--processes", str(options.processes), "--member"]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    numbers = range(options.processes)
    running = [subprocess.Popen([*command, str(number), address], env=environment) for number in numbers]
    sys.exit(max(process.wait() for process in running))


if __name__ == "__main__":
    main()
