"""What the verbs do: a folder each, with its options, its run and its display."""
