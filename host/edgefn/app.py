"""FunctionApp and Blueprint: azure.functions' own classes, with a decorator for every binding type of edgefn.

Each decorator records what ``generic_trigger``, ``generic_input_binding`` or ``generic_output_binding`` with the same
type and options would record, so that an app may use either. An option that is None is left to its default; options
that a decorator does not know are recorded too, so that the plugin which claims the type can say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import azure.functions as func
from azure.functions.decorators.core import Setting
from azure.functions.decorators.function_app import BindingApi, TriggerApi

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """Records something of a function, and gives back what it was given."""

    def __call__(self, function: F, /) -> F: ...


class FunctionTimeout(Setting):
    """The time-out of one function, kept beside its bindings."""

    def __init__(self, timeout: str | float) -> None:
        self.timeout = timeout
        super().__init__(setting_name="function_timeout")


class EdgeDecorators(TriggerApi, BindingApi):
    """The decorators that edgefn adds."""

    def function_timeout(self, timeout: str | float) -> Decorator:
        """Limits an invocation of this function: ``HH:MM:SS`` or seconds, at least 1; -1 for no limit."""

        def wrap(builder: Any) -> Any:
            builder.add_setting(setting=FunctionTimeout(timeout))
            return builder

        return cast("Decorator", self._configure_function_builder(wrap))

    def video_frame_trigger(
        self,
        arg_name: str,
        source: str | int,
        *,
        policy: str | None = None,
        max_fps: float | str | None = None,
        every_nth: int | str | None = None,
        key_frames: bool | str | None = None,
        motion: float | str | None = None,
        motion_hold: float | str | None = None,
        max_age: float | str | None = None,
        on_end: str | None = None,
        restart_after: float | str | None = None,
        real_time: bool | str | None = None,
        max_in_flight: int | str | None = None,
        cardinality: str | None = None,
        max_batch_size: int | str | None = None,
        silent_after: float | str | None = None,
        width: int | str | None = None,
        height: int | str | None = None,
        capture_fps: float | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Runs the function for the frames of ``source``; the parameter is a VideoFrame.

        source
            A file, a folder of pictures, a camera (``0`` or ``/dev/video0``), an RTSP or HTTP address, or
            ``synthetic:`` for a drawn street.
        policy
            ``every`` frame, holding the source back (default for files), or the ``latest`` one, dropping what the
            function is too slow for (default for live sources).
        max_fps, every_nth, max_age
            At most so many frames a second; only each n-th; none older than so many seconds.
        key_frames
            Only the frames that a clip or stream has whole; nothing else is decoded. Needs the extra ``av``.
        motion, motion_hold
            Only frames of which this share (0.01 is a good one) has changed, and those of so many seconds after it.
        on_end, restart_after
            When a file ends: ``stop`` (default), ``loop``, or ``restart`` after so many seconds.
        real_time
            Plays a file at its own pace, as a camera would.
        max_in_flight
            Frames that the function may work on at once. Outputs keep the order of the frames.
        cardinality, max_batch_size
            ``many`` makes the parameter a list of up to ``max_batch_size`` frames.
        silent_after
            Seconds without a frame after which a live source is opened anew.
        width, height, capture_fps
            What a camera is asked for.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="videoFrameTrigger", **options))

    def edge_hub_trigger(
        self,
        arg_name: str,
        input_name: str,
        *,
        cardinality: str | None = None,
        max_batch_size: int | str | None = None,
        max_concurrency: int | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Runs the function for each message that comes to the module's input ``input_name``.

        The parameter is an EdgeMessage, or its body as ``str``, ``bytes``, or the ``dict`` or ``list`` that it is in
        JSON; with ``cardinality="many"`` a list of them. ``max_concurrency`` is 1 by default: messages run in order.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="edgeHubTrigger", **options))

    def mqtt_trigger(
        self,
        arg_name: str,
        topic: str,
        broker: str | None = None,
        *,
        share: str | None = None,
        qos: int | str | None = None,
        retained: bool | str | None = None,
        cardinality: str | None = None,
        max_batch_size: int | str | None = None,
        max_concurrency: int | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Runs the function for each message of a topic of an MQTT 5 broker.

        The parameter is as that of ``edge_hub_trigger``; an EdgeMessage has the topic and the user properties.

        topic
            With ``+`` for any one level and ``#`` for all further ones.
        broker
            ``mqtt://user:password@host:1883``, ``mqtts://host:8883?ca=ca.pem``; the setting MQTT_BROKER by default.
        share
            A group: each of its members, on whatever box, gets a part of the messages.
        qos, retained
            0 for messages that may be lost; False to leave out what the broker retains.
        cardinality, max_batch_size, max_concurrency
            As those of ``edge_hub_trigger``.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="mqttTrigger", **options))

    def direct_method_trigger(self, arg_name: str, method_name: str, **other: Any) -> Decorator:
        """Answers the direct method ``method_name`` of the module; its name may be written in any case.

        The parameter is the payload, a JSON value, in the type of its annotation. What the function returns is the
        answer: a payload, or ``(status, payload)``.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="directMethodTrigger", **options))

    def twin_trigger(self, arg_name: str, *, property: str | None = None, **other: Any) -> Decorator:
        """Runs the function with the desired properties: all of them first, then what changes, None for what is gone.

        With ``property``, a path like ``camera.zoom``, the parameter is the value there, whenever that has changed.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="twinTrigger", **options))

    def file_trigger(
        self,
        arg_name: str,
        path: str,
        *,
        pattern: str | Sequence[str] | None = None,
        subfolders: bool | str | None = None,
        settle: float | str | None = None,
        interval: float | str | None = None,
        on_done: str | None = None,
        move_to: str | None = None,
        max_concurrency: int | str | None = None,
        max_files: int | str | None = None,
        max_bytes: int | str | None = None,
        max_pixels: int | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Runs the function for each file that arrives in the folder ``path``, once, also over restarts.

        The parameter is a ``pathlib.Path`` (also without an annotation), the picture as VideoFrame or numpy array, or
        the content as ``bytes``, ``str`` (text in UTF-8), or what it is in JSON.

        pattern, subfolders
            Which names, ``*.jpg`` or several; whether files in folders of the folder count.
        settle, interval
            Seconds without a change after which a file is whole; seconds between two looks at the whole folder.
        on_done, move_to
            What becomes of a file when its function has run well: ``keep`` (default), ``delete``, or ``move``, to the
            folder ``move_to``.
        max_concurrency
            Files that the function may work on at once: 1, so that they run in order.
        max_files, max_bytes, max_pixels
            Files that are remembered; bytes of a file that is read for the function, pixels of one that is decoded.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_trigger(arg_name, type="fileTrigger", **options))

    def setting(self, arg_name: str, name: str, *, default: Any = None, **other: Any) -> Decorator:
        """Gives the function the setting ``name`` of the environment, as the twin overlays it at the time of the event.

        It is converted to the type of the annotation, or of the default. In JSON the option is ``settingName``.
        """
        options = {"setting_name": name, **_given(locals(), "arg_name", "name")}
        return cast("Decorator", self.generic_input_binding(arg_name, type="setting", **options))

    def scoring_script(
        self, arg_name: str, module: str | None = None, *, stamp: str | None = None, **other: Any
    ) -> Decorator:
        """Gives the function ``run`` of a scoring script of Azure ML, whose ``init`` was called at the start.

        module
            The script, as it is imported: ``score`` for a score.py beside host.json.
        stamp
            Another text for each version of the script, so that ``init`` is called again.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_input_binding(arg_name, type="scoringScript", **options))

    def inference_session(
        self,
        arg_name: str,
        model: str,
        device: str | None = None,
        *,
        kind: str | None = None,
        task: str | None = None,
        labels: str | None = None,
        label_offset: int | str | None = None,
        top_n: int | str | None = None,
        threshold: float | str | None = None,
        iou_threshold: float | str | None = None,
        precision: str | None = None,
        hint: str | None = None,
        streams: int | str | None = None,
        requests: int | str | None = None,
        cache: bool | str | None = None,
        fallback: str | None = None,
        color_order: str | None = None,
        layout: str | None = None,
        mean: float | Sequence[float] | str | None = None,
        scale: float | Sequence[float] | str | None = None,
        resize: str | None = None,
        input_name: str | None = None,
        input_size: Sequence[int] | str | None = None,
        output_names: Sequence[str] | str | None = None,
        head: str | None = None,
        box_format: str | None = None,
        background: int | str | None = None,
        prepare: bool | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Opens ``model`` on ``device`` once and gives the function a session with ``infer`` and ``infer_async``.

        Annotate the parameter with ClassificationSession, DetectionSession or Session, or say ``task``:
        ``classification``, ``detection`` or ``raw``.

        model, kind
            A file from the app root (.xml with .bin, .onnx, .pb, .tflite), or an address whose scheme names the kind:
            ``http://host:8000/name``, ``grpc://host:9000/name``, ``stub:answers.json``.
        device, fallback
            ``CPU`` (default), ``GPU``, ``NPU``, ``AUTO:GPU,CPU``, ...; the one to take where that is not there.
        labels, label_offset
            The file with the names of the classes (else the one beside the model); class ``index`` has the name number
            ``index + label_offset``.
        top_n, threshold, iou_threshold
            How many classes (10); the lowest score (0.5) and how far boxes of a class may overlap (0.5), 0 to 1.
        head, box_format, background
            ``ssd``, ``boxes-scores`` or ``yolo``, and ``normalized`` or ``pixels``, where shapes do not tell; the class
            that means nothing.
        color_order, mean, scale, layout, resize
            What the model wants, folded into it: ``bgr`` (default) or ``rgb``; (value - mean) / scale, one number or
            one a channel; ``nchw`` or ``nhwc``; ``stretch`` (default), ``letterbox``, ``crop`` or ``custom-vision``.
        input_name, input_size, output_names
            Where the model leaves a choice; ``input_size`` is height and width in pixels.
        precision, hint, streams, requests, cache
            ``f32``, ``bf16`` or ``f16``; ``throughput`` (default) or ``latency``; inferences side by side; frames in
            flight; whether, or in which folder, compiled models are kept.
        prepare
            False: nothing is folded in, and the session is raw.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_input_binding(arg_name, type="inferenceSession", **options))

    def edge_hub_output(
        self,
        arg_name: str,
        output_name: str | None = None,
        *,
        interval: float | str | None = None,
        on_change: bool | str | Sequence[str] | None = None,
        rate: str | None = None,
        suppress: bool | str | None = None,
        properties: Mapping[str, str] | None = None,
        content_type: str | None = None,
        ttl: float | str | None = None,
        when_full: str | None = None,
        durable: bool | str | None = None,
        gate: str | None = None,
        gate_field: str | None = None,
        threshold: float | str | None = None,
        classes: Sequence[str] | str | None = None,
        hold: float | str | None = None,
        background: Sequence[str] | str | None = None,
        timeout: float | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Sends what the function sets, or returns with ``arg_name="$return"``, to the output ``output_name``.

        interval
            At most one message in so many seconds (or ``HH:MM:SS``), the newest at the time; 0 for each.
        on_change
            Only when the value, or one of the named fields of it, differs from the last one sent.
        rate
            At most so many in a window, e.g. ``6/minute``.
        suppress
            True: nothing leaves, and what would have is counted; the twin may switch it.
        properties, content_type
            Application properties and content type of each message.
        ttl, when_full
            Seconds after which an unsent message is worth nothing; and what goes when there is no room:
            ``drop_oldest``, ``drop_newest``, ``dead_letter``, or ``block`` to let the function wait.
        durable
            False for messages that may be lost: sent at once or not at all, and never stored.
        gate, gate_field
            A message only when the best ``label`` changes, when a class enters or leaves (``presence``), or when the
            score of something is above a ``threshold``; the field of the value that holds the results.
        threshold, classes, hold, background, timeout
            What the gate goes by: see docs/gates.md.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_output_binding(arg_name, type="edgeHub", **options))

    def mqtt_output(
        self,
        arg_name: str,
        topic: str,
        broker: str | None = None,
        *,
        qos: int | str | None = None,
        retain: bool | str | None = None,
        interval: float | str | None = None,
        on_change: bool | str | Sequence[str] | None = None,
        rate: str | None = None,
        suppress: bool | str | None = None,
        properties: Mapping[str, str] | None = None,
        content_type: str | None = None,
        ttl: float | str | None = None,
        when_full: str | None = None,
        durable: bool | str | None = None,
        gate: str | None = None,
        gate_field: str | None = None,
        threshold: float | str | None = None,
        classes: Sequence[str] | str | None = None,
        hold: float | str | None = None,
        background: Sequence[str] | str | None = None,
        timeout: float | str | None = None,
        **other: Any,
    ) -> Decorator:
        """Publishes what the function sets, or returns with ``arg_name="$return"``, to a topic of an MQTT 5 broker.

        topic
            With values in braces: ``{function}``, ``{topic}``, ``{source}``, ``{frame_id}``, ..., as in ``file_name``.
        broker
            ``mqtt://user:password@host:1883``, ``mqtts://host:8883?ca=ca.pem``; the setting MQTT_BROKER by default.
        qos, retain
            0 for messages that are not acknowledged; True to have the last one kept for those who subscribe later.
        ttl
            As that of ``edge_hub_output``; the broker gets what is left of it as the message's expiry.

        All others are those of ``edge_hub_output``.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_output_binding(arg_name, type="mqtt", **options))

    def file_output(
        self,
        arg_name: str,
        path: str,
        file_name: str | None = None,
        *,
        quality: int | str | None = None,
        max_files: int | str | None = None,
        max_bytes: int | str | None = None,
        max_waiting: int | str | None = None,
        when_full: str | None = None,
        **other: Any,
    ) -> Decorator:
        """Writes what the function sets into a file of the folder ``path``: a picture, JSON, text or bytes.

        path
            The folder, relative to the app root; empty or ``none`` switches the output off.
        file_name
            The name, with values in braces: ``{function}``, ``{timestamp}``, ``{id}``, ``{frame_id}``, ``{name}``,
            ``{source}``, ``{topic}``, each with a format where one is wanted: ``{frame_id:08}.jpg``.
        quality
            Of pictures in JPEG and WebP, 1 to 100.
        max_files, max_bytes
            At most so many files, and bytes, of this output in the folder: the oldest go.
        max_waiting, when_full
            Values that wait to be written, and what goes when more come: ``drop_oldest``, ``drop_newest``, or
            ``block`` to let the function wait.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_output_binding(arg_name, type="file", **options))

    def speech_output(
        self,
        arg_name: str,
        *,
        provider: str | None = None,
        voice: str | None = None,
        rate: float | str | None = None,
        map: Mapping[str, str | None] | str | None = None,
        player: str | None = None,
        path: str | None = None,
        cache_folder: str | None = None,
        cache_files: int | str | None = None,
        cache_bytes: int | str | None = None,
        speech_key: str | None = None,
        speech_region: str | None = None,
        endpoint: str | None = None,
        timeout: float | str | None = None,
        ttl: float | str | None = None,
        max_waiting: int | str | None = None,
        when_full: str | None = None,
        **other: Any,
    ) -> Decorator:
        """Says aloud what the function sets, or returns with ``arg_name="$return"``: a text, or the best of results.

        provider, voice, rate
            ``espeak`` (default, without a network) or ``azure``; a voice of it; how fast, 1.0 as usual.
        map
            What is said for a label: an object, or a JSON file; ``*`` for all others, ``{label}`` for the label, an
            empty text for silence.
        player, path
            ``auto`` (the first program that plays), one by its name, ``file`` for sounds in the folder ``path``, or
            ``none``.
        cache_folder, cache_files, cache_bytes
            Where sounds are kept, and how many; one text in one voice is made once.
        speech_key, speech_region, endpoint
            Of Azure Speech; the key as ``%SPEECH_KEY%``.
        timeout, ttl
            Seconds that making a sound may take; after which it is too late to say something.
        max_waiting, when_full
            Texts that wait to be said, and what goes when more come: ``drop_oldest``, ``drop_newest``, or ``block`` to
            let the function wait.
        """
        options = _given(locals(), "arg_name")
        return cast("Decorator", self.generic_output_binding(arg_name, type="speech", **options))


def _given(values: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """The options that a call named, with those that the decorator does not know; sequences as lists, for JSON."""
    if not isinstance(named := values["arg_name"], str):
        found = "a function: the decorator has no brackets" if callable(named) else repr(named)
        raise TypeError(f'arg_name should be the name of a parameter, found {found}; arg_name="..." would be right')
    known = {name: value for name, value in values.items() if name not in ("self", "other", *without)}
    options = {name: value for name, value in {**known, **values["other"]}.items() if value is not None}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


class FunctionApp(EdgeDecorators, func.FunctionApp):
    """Azure's FunctionApp, with the decorators of edgefn."""


class Blueprint(EdgeDecorators, func.Blueprint):
    """Azure's Blueprint, with the decorators of edgefn; a module under ``functions/`` needs no app around it."""
