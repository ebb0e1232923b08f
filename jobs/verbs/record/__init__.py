"""``penstock record``."""
