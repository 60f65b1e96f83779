"""Messages with a tag above the threshold, and without one."""

from functions.__NAME__ import __NAME__

APPLE, PEAR = {"tagName": "apple", "probability": 0.7}, {"tagName": "pear", "probability": 0.6}


def test_the_highest_tag_is_told() -> None:
    told = __NAME__({"frame_id": 7, "predictions": [PEAR, APPLE]}, threshold=0.6)
    assert told == {"tag": "apple", "probability": 0.7, "frame_id": 7}


def test_what_is_not_above_the_threshold_is_not_told() -> None:
    assert __NAME__({"predictions": [PEAR]}, threshold=0.6) is None
    assert __NAME__({"predictions": []}, threshold=0.6) is None
