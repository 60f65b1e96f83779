"""What is kept of the property."""

from functions import __NAME__ as module


def test_the_newest_value_counts_as_a_whole() -> None:
    module.__NAME__({"gate": 3, "yard": 10})
    module.__NAME__({"yard": 5})
    assert module.limits == {"yard": 5}


def test_nothing_is_left_when_the_property_is_gone() -> None:
    module.__NAME__({"yard": 5})
    module.__NAME__(None)
    assert module.limits == {}
