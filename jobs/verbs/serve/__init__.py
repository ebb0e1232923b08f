"""``penstock serve``."""
