"""The scorer behind HTTP: one process, one version at a time, the stream's own decoder, guards and serialiser."""
