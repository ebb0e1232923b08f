"""Redis: the store that columns may be looked up in."""
