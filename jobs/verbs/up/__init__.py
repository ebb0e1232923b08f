"""``penstock up``."""
