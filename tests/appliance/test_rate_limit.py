"""The pace of a lane, on a clock that only sleeping moves."""

import math
import threading
from bisect import bisect_left

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bic_lib.appliance.rate_limit import Pace
from bic_lib.appliance.tokens import Grant, Tokens
from bic_lib.core.errors import SiteError
from tests.appliance.conftest import Sleeps


@given(
    per_second=st.floats(0.2, 10),
    per_hour=st.integers(5, 60),
    idle=st.lists(st.floats(0, 200), min_size=1, max_size=100),
)
@example(per_second=2.5, per_hour=60, idle=[0.0] * 4)
def test_no_second_and_no_hour_has_more_than_its_share(per_second: float, per_hour: int, idle: list[float]) -> None:
    """Whatever the pauses in between, over every window that begins with a request."""
    sleeps = Sleeps()
    pace = Pace(per_second, per_hour, wait_limit=10_000, monotonic=sleeps.monotonic, sleep=sleeps.sleep)
    sent: list[float] = []
    for pause in idle:
        sleeps.at += pause
        pace.wait()
        sent.append(sleeps.at)
    for first, at in enumerate(sent):
        assert bisect_left(sent, at + 3599.999) - first <= per_hour
        assert bisect_left(sent, at + 0.999) - first <= math.ceil(per_second)
        assert bisect_left(sent, at + 9.999) - first <= 10 * per_second + max(1, per_second)


def test_a_used_up_hour_is_not_slept_through() -> None:
    """It becomes a pause of the site, for as long as is needed."""
    sleeps = Sleeps()
    pace = Pace(100, 3, wait_limit=30, monotonic=sleeps.monotonic, sleep=sleeps.sleep)
    for _ in range(3):
        pace.wait()
    with pytest.raises(SiteError) as told:
        pace.wait()
    assert told.value.retry_after == pytest.approx(3600, abs=1)


def test_a_lane_that_goes_from_hand_to_hand_counts_each_request_once() -> None:
    """Two processes take turns every half minute for two hours: each request counts once, and for an hour."""
    clock = 1e9
    first = Pace(1000, 1_000_000, wait_limit=30, monotonic=lambda: clock - 5e8)
    second = Pace(1000, 1_000_000, wait_limit=30, monotonic=lambda: clock - 9e8)
    sent: list[float] = []
    for turn in range(240):
        holder, other = (first, second) if turn % 2 else (second, first)
        for _ in range(5):
            holder.wait()
            sent.append(clock)
        clock += 30 + turn % 7 / 10
        told = holder.spent(clock)
        true = sum(1 for at in sent if at > clock - 3_600)
        assert abs(sum(told.values()) - true) <= 10, "a minute's requests more or less at the hour's end"
        other.take_over(told, clock)


def test_a_token_is_fetched_once_by_many_threads() -> None:
    """The others wait for it."""
    fetched: list[int] = []

    def fetch() -> Grant:
        fetched.append(1)
        return Grant("t", 3600)

    tokens = Tokens()
    threads = [threading.Thread(target=tokens.get, args=[fetch]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1


def test_a_token_is_used_until_a_minute_before_its_end() -> None:
    """And only the token that was refused is dropped."""
    sleeps = Sleeps()
    tokens = Tokens(sleeps.monotonic)
    names = iter("abc")

    def fetch() -> Grant:
        return Grant(next(names), 3600)

    assert tokens.get(fetch) == "a"
    sleeps.at += 3539
    assert tokens.get(fetch) == "a"
    sleeps.at += 2
    assert tokens.get(fetch) == "b"
    tokens.reject("a")
    assert tokens.get(fetch) == "b"
    tokens.reject("b")
    assert tokens.get(fetch) == "c"


def test_a_token_is_never_printed() -> None:
    """Not by accident either."""
    assert "tOkEn" not in repr(Grant("tOkEn", 1)) + str(Grant("tOkEn", 1))
