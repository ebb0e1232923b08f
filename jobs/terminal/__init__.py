"""Output to a terminal that several verbs share."""
