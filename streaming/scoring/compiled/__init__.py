"""Saved Spark pipelines evaluated without Spark: read from their files, and computed in double arithmetic by numpy."""
