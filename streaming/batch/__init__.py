"""Files in, scored files out: cut into units that are scored once each, and published together."""
