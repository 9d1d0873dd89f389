"""The models of the comparison behind LitServe: `python litserve_server.py onnx|sklearn MODEL PORT BATCH`.

Run in LitServe's own environment. BATCH above 1 lets LitServe join requests for up to 5 ms.
"""

import sys

import litserve as ls
import numpy as np


class Api(ls.LitAPI):
    """Rows in, probabilities out."""

    def setup(self, device):
        kind, path = sys.argv[1:3]
        if kind == "onnx":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options)
            name, output = session.get_inputs()[0].name, [session.get_outputs()[-1].name]
            self.compute = lambda rows: session.run(output, {name: rows})[0]
        else:
            import joblib

            model = joblib.load(path)
            self.compute = lambda rows: model.predict_proba(rows)[:, 1]

    def decode_request(self, request):
        return np.array(request["rows"], dtype=np.float32)

    def batch(self, inputs):
        self.sizes = [len(rows) for rows in inputs]
        return np.concatenate(inputs)

    def unbatch(self, output):
        return np.split(output, np.cumsum(self.sizes)[:-1])

    def predict(self, rows):
        return self.compute(rows)

    def encode_response(self, output):
        return {"probability": np.asarray(output).tolist()}


if __name__ == "__main__":
    batch = int(sys.argv[4])
    more = {"max_batch_size": batch, "batch_timeout": 0.005} if batch > 1 else {}
    server = ls.LitServer(Api(**more), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[3]), log_level="warning", generate_client_file=False, access_log=False
    )
