"""The page of ``penstock quality run``."""
