"""Checkpoints: where one lies, whether it is whole, and what it is."""
