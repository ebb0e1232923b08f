"""Bytes of a topic to valid rows and rejected rows."""
