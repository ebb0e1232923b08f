"""Statistics that drift, backtest, training and the demonstration share, each defined once; no Spark, no I/O."""
