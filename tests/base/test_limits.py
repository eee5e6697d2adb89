"""What a language file, a job and a config may say of limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.limits import PATIENCE, Limits, parse_limits


def test_keys_change_the_default_and_leave_the_others() -> None:
    limits = parse_limits({"test_s": 2, "wall_s": None}, Limits(memory_mb=64, wall_s=9))
    assert (limits.test_s, limits.wall_s, limits.memory_mb) == (2, None, 64)
    assert Limits(test_s=2).test_wall_s > 10 and Limits(test_s=2, wall_s=3).test_wall_s == 3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1], "key 'limits' must be a mapping with keys of compile_s, test_s"),
        ({"memory": 5}, "unknown key 'limits.memory'; the keys are compile_s, test_s"),
        ({"cpu_s": 5}, "unknown key 'limits.cpu_s': it has become test_s, which bounds the CPU time of all processes"),
        ({"memory_mb": 0.5}, "key 'limits.memory_mb' must be a whole number above 0, not 0.5"),
        ({"memory_mb": None}, "key 'limits.memory_mb' must be a whole number above 0, not None"),
        ({"wall_s": "long"}, "key 'limits.wall_s' must be a number above 0, not 'long'"),
        ({"test_s": True}, "key 'limits.test_s' must be a number above 0, not True"),
        ({"test_s": float("nan")}, "key 'limits.test_s' must be a number above 0, not nan"),
    ],
)
def test_what_is_no_limit_is_one_sentence(row: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_limits(row)
    assert str(caught.value).startswith(said)


@given(st.dictionaries(st.sampled_from([*vars(Limits()), "cpu_s", "speed"]), st.none() | st.floats() | st.text()))
def test_whatever_is_said_is_a_limit_above_0_or_refused(row: dict[str, Any]) -> None:
    try:
        limits = parse_limits(row)
    except ValueError as error:
        assert str(error).startswith(("key 'limits.", "unknown key 'limits."))
    else:
        assert all(value is None or value > 0 for value in vars(limits).values())


@given(st.integers(1, 1000), st.floats(0.1, 100))
def test_the_time_of_a_whole_program_grows_with_its_tests(tests: int, test_s: float) -> None:
    limits = Limits(test_s=test_s)
    assert limits.longest_s(tests) >= tests * PATIENCE * test_s
    assert Limits(test_s=test_s, program_s=7).longest_s(tests) == 7
