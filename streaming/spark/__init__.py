"""All that touches what Spark keeps private: pyspark's underscores, and JVM classes that are not public API.

Everybody else calls these small functions, so that a release of Spark that moves something is met in this one package.
"""
