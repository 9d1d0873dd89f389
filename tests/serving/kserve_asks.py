"""Runs in the KServe client's own environment: asks what each line on standard input, a JSON list, says, and prints a
line of answers. To import the client takes seconds, so one process asks for all tests.

A case: `by` (rest-binary, rest-json, rest-v1 or grpc), `url`, `model`, `datatype`, `shape`, and `data`, base64 of the
tensor's bytes; the elements of a BYTES tensor one by one. An answer: `datatype`, `shape` and `data` alike, or `error`.
"""

import asyncio
import base64
import json
import logging
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.utils.numpy_codec import to_np_dtype

logging.disable(logging.CRITICAL)


def read(case):
    if case["datatype"] == "BYTES":
        values = np.empty(len(case["data"]), dtype=object)
        values[:] = [base64.b64decode(value) for value in case["data"]]
    else:
        values = np.frombuffer(base64.b64decode(case["data"]), to_np_dtype(case["datatype"]))
    return values.reshape(case["shape"])


def told(answer):
    (output,) = answer.outputs
    array = output.as_numpy()
    if output.datatype == "BYTES":
        elements = [value if isinstance(value, bytes) else str(value).encode() for value in array.reshape(-1)]
        data = [base64.b64encode(value).decode() for value in elements]
    else:
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"datatype": output.datatype, "shape": list(array.shape), "data": data, "model": answer.model_name}


async def ask(case):
    by, model = case["by"], case["model"]
    if by == "rest-v1":
        async with InferenceRESTClient(RESTConfig(protocol="v1", retries=1)) as client:
            if case.get("health"):
                return {"ready": await client.is_model_ready(case["url"], model)}
            return await client.infer(case["url"], {"instances": case["data"]}, model_name=model)
    if by == "rest-health":
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=1)) as client:
            return {
                "live": await client.is_server_live(case["url"]),
                "ready": await client.is_server_ready(case["url"]),
                "model": await client.is_model_ready(case["url"], model),
            }
    if by == "grpc-health":
        async with InferenceGRPCClient(case["url"]) as client:
            return {
                "live": await client.is_server_live(),
                "ready": await client.is_server_ready(),
                "model": await client.is_model_ready(model),
            }
    tensor = InferInput(case.get("name", "x"), case["shape"], case["datatype"])
    tensor.set_data_from_numpy(read(case), binary_data=by != "rest-json")
    request = InferRequest(model, [tensor], request_id="mine")
    if by == "grpc":
        async with InferenceGRPCClient(case["url"]) as client:
            return told(await client.infer(request))
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=1)) as client:
        return told(await client.infer(case["url"], request, model_name=model))


async def outcome(case):
    try:
        return await ask(case)
    except grpc.RpcError as error:
        return {"error": error.details(), "code": error.code().name}
    except httpx.HTTPStatusError as error:
        return {"error": str(error), "code": error.response.status_code}


async def answers(cases):
    return [await outcome(case) for case in cases]


for line in sys.stdin:
    print(json.dumps(asyncio.run(answers(json.loads(line)))), flush=True)
