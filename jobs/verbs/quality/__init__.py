"""``penstock quality``: predictions judged by labels."""
