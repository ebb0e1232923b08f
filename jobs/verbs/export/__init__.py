"""``penstock export``."""
