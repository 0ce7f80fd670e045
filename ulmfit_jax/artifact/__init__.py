"""Model folders: what is saved of a finished model, and how it is read back without trusting it."""

from ulmfit_jax.artifact.folder import Artifact, load_artifact, save_artifact

__all__ = ["Artifact", "load_artifact", "save_artifact"]
