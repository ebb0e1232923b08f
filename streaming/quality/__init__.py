"""How good predictions were, once the labels are there: windows of events, read again when all labels are due."""
