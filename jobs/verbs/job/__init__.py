"""``penstock job``."""
