"""``penstock dlq``."""
