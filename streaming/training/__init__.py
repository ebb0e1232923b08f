"""From a table to a registered model version."""
