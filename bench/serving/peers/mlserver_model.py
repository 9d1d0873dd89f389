"""The models of the comparison for MLServer. Run by MLServer, in its own environment."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    """The ONNX graph, one thread."""

    async def load(self) -> bool:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        self._output = [self._session.get_outputs()[-1].name]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        (answer,) = self._session.run(self._output, {self._session.get_inputs()[0].name: rows})
        return InferenceResponse(
            model_name=self.name, id=payload.id, outputs=[NumpyCodec.encode_output("probability", answer)]
        )


class Sklearn(MLModel):
    """The forest as scikit-learn computes it."""

    async def load(self) -> bool:
        import joblib

        self._model = joblib.load(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        answer = self._model.predict_proba(rows)[:, 1]
        return InferenceResponse(
            model_name=self.name, id=payload.id, outputs=[NumpyCodec.encode_output("probability", answer)]
        )
