"""Recorded streams, and sending them through a model once more."""
