"""``penstock shadow``: the other version of a rollout scores the same events."""
