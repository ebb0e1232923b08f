"""The configuration, from files, variables and the command line."""
