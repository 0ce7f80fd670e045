"""A package, so that a test file of `fastai/` may have the name of one in another folder."""
