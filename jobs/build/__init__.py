"""What is made from a checkout: the environment and the bundles for spark-submit."""
