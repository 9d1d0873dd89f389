"""The models of the comparison behind BentoML, in its own environment. BENCH_KIND and BENCH_MODEL say which."""

import os

import bentoml
import numpy as np

KIND, PATH = os.environ["BENCH_KIND"], os.environ["BENCH_MODEL"]


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, traffic={"timeout": 60})
class Forest:
    """Rows in, probabilities out."""

    def __init__(self) -> None:
        if KIND == "onnx":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(PATH, options)
            name, output = session.get_inputs()[0].name, [session.get_outputs()[-1].name]
            self.compute = lambda rows: session.run(output, {name: rows})[0]
        else:
            import joblib

            model = joblib.load(PATH)
            self.compute = lambda rows: model.predict_proba(rows)[:, 1]

    @bentoml.api(batchable=KIND != "onnx", max_batch_size=64, max_latency_ms=60_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.compute(rows.astype(np.float32))
