"""The options of an ``inferenceSession``, as they are declared: those of all opened models, and those of OpenVINO."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from edgefn.function import Options, Truth, named


def _blank(value: Any) -> Any:
    """None for what settings hold that were left out."""
    return None if isinstance(value, str) and value.strip().lower() in ("", "none") else value


def lower(value: Any) -> Any:
    """Words of options, written in any case; None for what settings hold that were left out."""
    return _blank(value.strip().lower()) if isinstance(value, str) else value


def _parts(value: Any) -> Any:
    """``"1,2,3"``, ``"1x2"`` and ``1`` as lists; settings come as text."""
    if isinstance(value, str):
        return [part.strip() for part in value.strip("[]() ").replace("x", ",").split(",")] if value.strip() else None
    return [value] if isinstance(value, int | float) else value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()] or None
    return value


Text = Annotated[str | None, BeforeValidator(_blank)]
Names = Annotated[tuple[str, ...] | None, BeforeValidator(_names)]
Numbers = Annotated[tuple[float, ...] | None, BeforeValidator(_parts)]
Size = Annotated[tuple[int, int] | None, BeforeValidator(_parts)]
Positive = Annotated[int | None, Field(ge=1), BeforeValidator(_blank)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ModelOptions(Options):
    """What may be declared of every model that gives tensors, wherever it runs.

    Each value may also be text, as it comes from ``%SETTING%``.
    """

    model: Annotated[str, named("a model's file or address")]
    kind: Text = None
    task: Annotated[Literal["raw", "classification", "detection"] | None, BeforeValidator(lower)] = None
    """What the results are; without it, what the parameter's annotation says, else raw."""

    labels: Text = None
    """The file with the classes' names (labels.py); without it, the one beside the model, if any (files.py)."""
    label_offset: int = 0
    """Class ``index`` of the model has the name number ``index + labelOffset`` of the labels, counted from 0."""
    top_n: Annotated[int, Field(ge=1)] = 10
    """Classification: how many classes."""
    threshold: Share = 0.5
    """Detection: the lowest score that counts."""
    iou_threshold: Share = 0.5
    """Detection: how much of two boxes of one class may overlap before the worse one goes (not for ssd)."""
    head: Annotated[Literal["ssd", "boxes-scores", "yolo"] | None, BeforeValidator(lower)] = None
    """Detection: what the outputs are; without it, what their shapes tell (results.py)."""
    box_format: Annotated[Literal["normalized", "pixels"] | None, BeforeValidator(lower)] = None
    """Detection: the unit of the boxes; without it, pixels of the input for yolo and for boxes of 5 columns, else
    shares of the input."""
    background: Annotated[int | None, Field(ge=0), BeforeValidator(_blank)] = None
    """Detection, boxes-scores: the class that means "nothing here"."""

    prepare: Annotated[bool, Truth] = True
    """False: nothing is folded into the model; the session is raw and takes arrays as the model declares them."""
    input_name: Text = None
    """The input that takes the picture; needed where several could."""
    output_names: Names = None
    """The outputs to use, in the order that the task expects; for raw, those to give."""
    input_size: Size = None
    """Height and width of the model's input; needed where the model leaves them open."""
    color_order: Annotated[Literal["bgr", "rgb"], BeforeValidator(lower)] = "bgr"
    """The order that the model wants. Pictures are always given in BGR."""
    layout: Annotated[Literal["nchw", "nhwc"] | None, BeforeValidator(lower)] = None
    mean: Numbers = None
    """One number, or one a channel in the model's order: the model gets ``(value - mean) / scale``, value 0 to 255."""
    scale: Numbers = None
    resize: Annotated[Literal["stretch", "letterbox", "crop", "custom-vision"], BeforeValidator(lower)] = "stretch"
    """How a picture of another shape gets into the input (pictures.py); boxes are those of the whole picture always."""

    @field_validator("mean", "scale")
    @classmethod
    def _channels(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and len(value) not in (1, 3):
            raise ValueError(f"has {len(value)} numbers; right would be 1 or 3")
        return value

    @field_validator("scale")
    @classmethod
    def _divisor(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value and 0.0 in value:
            raise ValueError("holds 0, by which the picture would be divided")
        return value

    @model_validator(mode="after")
    def _raw_when_unprepared(self) -> Self:
        if not self.prepare and self.task not in (None, "raw"):
            raise ValueError("prepare=false gives a raw session; right would be task 'raw', or prepare=true")
        return self


class OpenVinoOptions(ModelOptions):
    """What is declared of a model on OpenVINO."""

    model: Annotated[str, named("a model's file")]
    """The model's file: .xml (with its .bin), .onnx, .pb, .tflite. Relative to the app root, else to where the host was
    started."""
    device: Annotated[str, named("a device such as CPU")] = "CPU"
    """CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, HETERO:..., MULTI:..., BATCH:... (devices.py)."""
    fallback: Text = None
    """The device to use when ``device`` is not there or does not take the model."""
    precision: Annotated[Literal["f32", "bf16", "f16"] | None, BeforeValidator(lower)] = None
    """Of the calculation; without it, the device's own choice (bf16 on processors with AMX)."""
    hint: Annotated[Literal["throughput", "latency"], BeforeValidator(lower)] = "throughput"
    streams: Positive = None
    """How many inferences the device runs side by side; without it, what the hint gives."""
    requests: Positive = None
    """Infer requests, so many frames are in flight; without it, two more than streams."""
    cache: Annotated[bool | str, Truth] = True
    """Keep the compiled model in ``<state>/model-cache``, not at all, or in the folder that is named."""
