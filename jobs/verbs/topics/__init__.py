"""``penstock topics``."""
