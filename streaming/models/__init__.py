"""Which version serves: following the registry, checking a candidate, holding the one that passed."""
