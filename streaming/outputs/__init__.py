"""What is written to the output topics, and read back: envelopes, headers, records, dead letters."""
