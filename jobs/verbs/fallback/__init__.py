"""The verb ``penstock fallback``."""
