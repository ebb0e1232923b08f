"""``penstock batch``."""
