"""A version's compiled form as one ONNX file: drawn stage by stage, held against the compiled form, and written."""
