"""`python -m ulmfit_jax`: the command line, where `ulmfit` is not on the path."""

import sys

from ulmfit_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
