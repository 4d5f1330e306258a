"""Scenes, data sets, losses and the training loop."""
