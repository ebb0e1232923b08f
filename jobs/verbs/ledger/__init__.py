"""``penstock ledger``."""
