"""Models of other libraries than Spark's, read from their files and evaluated by those libraries, without MLflow."""
