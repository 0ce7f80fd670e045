"""Optimisation: schedules, layer groups, fastai's Adam with a rate for each group, and NT-ASGD."""
