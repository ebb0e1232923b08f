"""How bytes become events in one process: one package for each format."""
