"""Recordings in, recordings out: the depth node's pipeline on the messages of a bag."""
