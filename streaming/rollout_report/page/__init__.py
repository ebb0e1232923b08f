"""The page of ``penstock rollout report``."""
