"""A rollout judged from its topics: answers of both versions, labels and dead letters to a verdict in the ledger."""
