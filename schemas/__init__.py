"""What crosses a topic: one module per record, and contracts/*.json for subscribers in any language."""
