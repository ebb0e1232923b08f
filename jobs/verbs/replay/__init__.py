"""``penstock replay``."""
