"""What the ledger tells: which version served when, and what became of an offset."""
