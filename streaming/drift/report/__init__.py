"""What the windows of a model say together: the data of the report, for the terminal, the page and machines."""
