"""How bytes become events: one package for each format, and what all of them keep."""
