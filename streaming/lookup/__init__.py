"""Columns that events are given from a table: a compacted topic, kept on each machine's disk."""
