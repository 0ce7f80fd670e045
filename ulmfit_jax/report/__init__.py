"""The page of a training run: `report.html`, one file that needs no network, made from what the run has left."""
