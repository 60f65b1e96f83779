"""Our messages are those of the published protocols: same numbers, names and types of fields, in all that we have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ovmsclient.tfs_compat.protos.tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)
from tritonclient.grpc import service_pb2

import edgefn
from edgefn.protocols.messages import descriptors

FOLDER = Path(edgefn.__file__).parent / "protocols"
INT32, ENUM = 5, 14
PAIRS = [
    ("inference.Live", service_pb2.ServerLiveResponse),
    ("inference.Ready", service_pb2.ServerReadyResponse),
    ("inference.Ready", service_pb2.ModelReadyResponse),
    ("inference.ModelName", service_pb2.ModelReadyRequest),
    ("inference.ModelName", service_pb2.ModelMetadataRequest),
    ("inference.Server", service_pb2.ServerMetadataResponse),
    ("inference.Model", service_pb2.ModelMetadataResponse),
    ("inference.InferRequest", service_pb2.ModelInferRequest),
    ("inference.InferResponse", service_pb2.ModelInferResponse),
    ("tensorflow.PredictRequest", predict_pb2.PredictRequest),
    ("tensorflow.PredictResponse", predict_pb2.PredictResponse),
    ("tensorflow.MetadataRequest", get_model_metadata_pb2.GetModelMetadataRequest),
    ("tensorflow.MetadataResponse", get_model_metadata_pb2.GetModelMetadataResponse),
    ("tensorflow.SignatureMap", get_model_metadata_pb2.SignatureDefMap),
    ("tensorflow.StatusRequest", get_model_status_pb2.GetModelStatusRequest),
    ("tensorflow.StatusResponse", get_model_status_pb2.GetModelStatusResponse),
]


def fields(ours: Any, theirs: Any) -> None:
    """Compares all that our message has, and the messages in it."""
    for field in ours.fields:
        same = theirs.fields_by_number[field.number]
        assert (field.name, field.is_repeated) == (same.name, same.is_repeated)
        assert field.type == same.type or {field.type, same.type} == {INT32, ENUM}, field.full_name
        if field.message_type is not None:
            fields(field.message_type, same.message_type)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda value: str(getattr(value, "__name__", value)))
def test_messages_have_the_fields_of_the_published_protocol(ours: str, theirs: Any) -> None:
    fields(descriptors().FindMessageTypeByName(f"edgefn.{ours}"), theirs.DESCRIPTOR)


def test_the_descriptor_is_that_of_the_files(tmp_path: Path) -> None:
    made = tmp_path / "messages.binpb"
    names = ["open_inference.proto", "tensorflow_serving.proto"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--descriptor_set_out={made}", *names]
    subprocess.run(command, check=True)
    assert made.read_bytes() == (FOLDER / "messages.binpb").read_bytes()
