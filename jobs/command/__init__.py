"""The command line: the tree of verbs and their options; imports no work before it is asked for."""
