"""``penstock rollout``."""
