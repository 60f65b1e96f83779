from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgefn.sessions.options import OpenVinoOptions


def options(**declared: Any) -> OpenVinoOptions:
    return OpenVinoOptions.model_validate({"model": "model.xml", **declared})


def test_settings_come_as_text() -> None:
    as_text = {
        "topN": "5",
        "labelOffset": "-1",
        "threshold": "0.25",
        "cache": "false",
        "prepare": "True",
        "streams": "2",
        "mean": "127.5, 127.5,127.5",
        "scale": "127.5",
        "inputSize": "320x640",
        "outputNames": "boxes, scores",
        "colorOrder": "RGB",
        "precision": "F32",
    }
    values = {
        "topN": 5,
        "labelOffset": -1,
        "threshold": 0.25,
        "cache": False,
        "prepare": True,
        "streams": 2,
        "mean": [127.5, 127.5, 127.5],
        "scale": 127.5,
        "inputSize": [320, 640],
        "outputNames": ["boxes", "scores"],
        "colorOrder": "rgb",
        "precision": "f32",
    }
    assert options(**as_text) == options(**values)


def test_an_empty_setting_is_no_setting() -> None:
    names = ("task", "labels", "fallback", "precision", "streams", "inputSize", "mean", "outputNames", "layout", "head")
    assert options(**dict.fromkeys(names, "")) == options()
    assert options(task="none", labels="None", fallback="NONE", streams="none") == options()


def test_the_cache_is_a_switch_or_a_folder() -> None:
    given = (True, "on", "Y", "0", " f ", "", "/var/models")
    assert [options(cache=value).cache for value in given] == [True, True, True, False, False, False, "/var/models"]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"model": None}, "names nothing: .* give a model's file"),
        ({"model": "none"}, "names nothing"),
        ({"device": ""}, "names nothing: .* give a device such as CPU"),
        ({"mean": "1,2"}, "has 2 numbers; right would be 1 or 3"),
        ({"scale": 0}, "holds 0"),
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"topN": 0}, "greater than or equal to 1"),
        ({"inputSize": "320"}, "input_size|inputSize"),
        ({"resize": "zoom"}, "'stretch', 'letterbox', 'crop' or 'custom-vision'"),
        ({"prepare": False, "task": "detection"}, "prepare=false gives a raw session"),
        ({"thresold": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_values_are_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        options(**declared)
