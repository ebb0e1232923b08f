"""The ledger: what was planned and what came of it, and what that tells of an offset or a moment."""
