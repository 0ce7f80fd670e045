"""Training: tasks, the loop over stages, recipes, the learning-rate finder and resumable run folders."""
