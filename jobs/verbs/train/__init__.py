"""``penstock train``."""
