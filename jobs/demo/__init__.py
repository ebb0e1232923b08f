"""``make demo``: a season of flights, a swap on the way, and the account."""
