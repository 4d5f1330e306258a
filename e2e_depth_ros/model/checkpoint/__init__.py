"""Checkpoints: where one is, whether it is complete, and what it is."""
