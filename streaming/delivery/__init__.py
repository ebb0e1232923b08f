"""The prediction's envelope, dead letters, and the transactional writer."""
