"""How a stream runs."""
