"""Drift detection: the inputs and answers of a version compared with its reference profile."""
