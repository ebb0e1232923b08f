"""What verbs share of showing things to people at a terminal."""
