"""Models that are code: what a version's own Python says, in a process that may die; only with ``model.allow_code``."""
