"""One transaction per input partition and batch: the writer, its producers, the marks it commits, and its outcome."""
