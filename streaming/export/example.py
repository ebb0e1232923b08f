"""Scores an event with the model in this folder; needs onnxruntime and numpy, and nothing else."""

import json
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(__file__).parent
signature = json.loads((folder / "signature.json").read_text("utf-8"))
model = onnxruntime.InferenceSession(folder / signature["file"])
events = [signature["example"]]
tensors = {}
for column in signature["inputs"]:
    values = [event.get(column["name"]) for event in events]
    missing = [None] * column["length"] if column["length"] else column["missing"]
    filled = [missing if value is None else value for value in values]
    tensors[column["name"]] = np.array(filled, column["dtype"])
for output, answers in zip(signature["outputs"], model.run(list(signature["outputs"].values()), tensors), strict=True):
    print(output, answers.tolist())
