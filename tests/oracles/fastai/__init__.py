"""The package against the installed reference implementation, fastai 2."""
