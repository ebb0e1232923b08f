"""Whether what a version is given, and answers, still looks like its reference profile."""
