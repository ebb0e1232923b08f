"""The spark-submit mains and the penstock command: arguments to settings to adapters to streaming."""
