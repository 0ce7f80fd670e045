"""The mistakes a user can make, as exceptions whose message is one sentence that says what to do.

Library code raises these and nothing else for bad input; the command line prints the message and exits with code 2.
"""

from __future__ import annotations


class UlmfitError(ValueError):
    """A mistake in what the user gave; the message names the place, what was found and what to do."""


class DataError(UlmfitError):
    """A data set, file, row, column or label is not what it has to be."""


class ConfigError(UlmfitError):
    """An option or a combination of options makes no sense."""


class ArtifactError(UlmfitError):
    """A model folder or checkpoint is missing, damaged, of another kind or of another format version."""


class TrainingError(UlmfitError):
    """Training cannot go on: a number is not finite, a device is missing, the disk is full."""
