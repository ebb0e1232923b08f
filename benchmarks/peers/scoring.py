"""Score events with ONNX Runtime, as every Python peer here does it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson

Event = dict[str, Any]
UNSEEN = 0


class Scorer:
    """One ONNX session and the vocabulary it was trained with."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        # onnxruntime.ai/docs/performance/tune-performance/threading.html: a model this small gains nothing from a pool
        # of threads, and the default pool has one for each core, which spin.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        columns = json.loads(self._session.get_modelmeta().custom_metadata_map["columns"])
        self._places = [(name, places.get) for name, places in columns["categories"].items()]
        self._numbers = columns["numbers"]

    def score(self, events: Sequence[Event]) -> list[Event]:
        """Return what is written for each event."""
        inputs = {
            "categories": np.array(
                [[position_of(e[name], UNSEEN) for name, position_of in self._places] for e in events]
            ),
            "numbers": np.array([[e[name] for name in self._numbers] for e in events], dtype=np.float64),
        }
        predictions, probabilities = self._session.run(None, inputs)
        return [
            {"event_id": event["event_id"], "prediction": prediction, "probability": probability}
            for event, (prediction,), probability in zip(
                events, predictions.tolist(), probabilities.tolist(), strict=True
            )
        ]

    def score_one(self, event: Event) -> Event:
        """Return what is written for the event."""
        return self.score((event,))[0]

    def score_json(self, values: Sequence[bytes | str]) -> list[bytes]:
        """The same from JSON to JSON, for the peers that leave the format to their user."""
        return [orjson.dumps(scored) for scored in self.score([orjson.loads(value) for value in values])]
