"""What passes the filter, and what does not."""

from functions.__NAME__ import __NAME__

CAR, SHADOW = {"name": "car", "score": 0.9}, {"name": "person", "score": 0.55}


def test_a_message_passes_with_what_is_sure_enough() -> None:
    assert __NAME__({"frame_id": 7, "objects": [CAR, SHADOW]}, threshold=0.6) == {"frame_id": 7, "objects": [CAR]}


def test_nothing_is_sent_when_nothing_is_sure() -> None:
    assert __NAME__({"frame_id": 8, "objects": [SHADOW]}, threshold=0.6) is None
    assert __NAME__({"frame_id": 9, "objects": []}, threshold=0.6) is None
