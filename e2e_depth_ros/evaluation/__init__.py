"""Frames, protocols and reports."""
