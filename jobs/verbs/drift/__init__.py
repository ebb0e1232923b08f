"""``penstock drift``."""
