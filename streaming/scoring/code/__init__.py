"""Models that are code: a version's own Python, run in a process that may die, and only with ``model.allow_code``."""
