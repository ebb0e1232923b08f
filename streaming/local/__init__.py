"""Local services: the jars, an embedded broker, a tracking server."""
