from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.sessions.devices import Choice, DeviceError, choose

ONE_GPU = ["CPU", "GPU", "NPU"]
TWO_GPUS = ["CPU", "GPU.0", "GPU.1"]


@pytest.mark.parametrize("asked", ["CPU", "cpu", " CPU ", "AUTO", "AUTO:CPU", "HETERO:CPU", "MULTI:CPU", "AUTO:-GPU"])
def test_one_device_is_opened_as_itself(asked: str) -> None:
    assert choose(asked, ["CPU"]) == Choice("CPU")


def test_absent_devices_of_auto_are_dropped_and_named() -> None:
    assert choose("AUTO:GPU,CPU", ["CPU"]) == Choice("CPU", "GPU of AUTO:GPU,CPU is not there")
    assert choose("AUTO:GPU.1,NPU,CPU", ONE_GPU) == Choice("AUTO:NPU,CPU", "GPU.1 of AUTO:GPU.1,NPU,CPU is not there")


@pytest.mark.parametrize("asked", ["AUTO", "AUTO:GPU,CPU", "HETERO:GPU,CPU", "MULTI:GPU,CPU", "BATCH:GPU(4)", "GPU.0"])
def test_what_is_there_stays_as_declared(asked: str) -> None:
    assert choose(asked, ONE_GPU) == Choice(asked)


@pytest.mark.parametrize("asked", ["GPU", "GPU.0", "GPU.1", "HETERO:GPU.1,CPU", "AUTO:-CPU"])
def test_several_cards_are_told_apart(asked: str) -> None:
    assert choose(asked, TWO_GPUS) == Choice({"AUTO:-CPU": "AUTO:-CPU"}.get(asked, asked))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("GPU", "device 'GPU' is not there"),
        ("NPU", "device 'NPU' is not there"),
        ("HETERO:GPU,CPU", "device 'HETERO:GPU,CPU': GPU is not there"),
        ("HETERO:FPGA,CPU", "FPGA is not there; OpenVINO no longer supports FPGA"),
        ("MYRIAD", "OpenVINO no longer supports MYRIAD"),
        ("AUTO:GPU,NPU", "GPU, NPU is not there"),
        ("AUTO:-CPU", "leaves no device"),
        ("GPUU", "did you mean 'GPU'?"),
        ("HETERO", "right would be 'HETERO:CPU'"),
        ("HETERO:-CPU", "is not understood"),
        ("CPU,GPU", "is not understood"),
        ("AUTO:", "is not understood"),
        ("", "is not understood"),
    ],
)
def test_what_can_not_be_opened_is_one_line_that_names_what_is_there(asked: str, words: str) -> None:
    with pytest.raises(DeviceError) as error:
        choose(asked, ["CPU"])
    assert words in str(error.value)
    assert str(error.value).endswith("this machine has CPU")
    assert "\n" not in str(error.value)


@given(st.text(alphabet="CPUGANTOMLIHE:,.-()01 ", max_size=20))
def test_any_text_is_a_device_or_an_error_of_ours(asked: str) -> None:
    try:
        choice = choose(asked, ["CPU"])
    except DeviceError:
        return
    assert choice.device.endswith("CPU") or choice.device.startswith("BATCH:CPU(")
