"""What a site asked for, and which success ends which failure."""

from __future__ import annotations

from bic_lib.core.ports.store import Store
from bic_lib.ledger import Ledger
from bic_lib.ledger.streams import Rest, SiteClock
from tests.ledger.conftest import Clock


def test_a_pause_is_seen_by_every_process(ledger: Ledger, store: Store, clock: Clock) -> None:
    """Another one that reads the same ledger knows for how long, and when it is over."""
    ledger.streams.pause("s").begin(600)
    other = Ledger(store, "another|process")
    clock.now += 590
    assert other.streams.pause("s").left() == 10
    assert other.streams.read("s").asks_nothing(clock.now)
    assert other.streams.pause("t").left() == 0
    clock.now += 10
    assert other.streams.pause("s").left() == 0
    assert not other.streams.read("s").asks_nothing(clock.now)


def test_the_longer_pause_stays(ledger: Ledger, clock: Clock) -> None:
    """A second refusal that asks for less ends nothing; one that asks for more counts."""
    pause = ledger.streams.pause("s")
    for seconds, left in ((600, 600), (1, 600), (900, 900)):
        pause.begin(seconds)
        assert pause.left() == left


def test_a_clock_that_went_back_ends_a_pause(ledger: Ledger, clock: Clock) -> None:
    """Or the site would stand for as long as the clock was ahead."""
    ledger.streams.pause("s").begin(600)
    clock.now -= 86_400
    assert ledger.streams.pause("s").left() == 0


def test_no_success_ends_a_pause(ledger: Ledger, clock: Clock) -> None:
    """It is over when it is over."""
    ledger.streams.pause("s").begin(600)
    clock.now += 1
    ledger.streams.site_works("s", clock.now, SiteClock())
    assert ledger.streams.pause("s").left() == 599


def test_only_what_began_after_a_failure_ends_it(ledger: Ledger, clock: Clock) -> None:
    """A call that was on its way already proves nothing of the site as it is since; its clock is noted all the same."""
    began = clock.now
    failed_at = clock.now + 5
    ledger.streams.rest_site("s", Rest(failed_at + 60, 1, failed_at, "down", failed_at=failed_at), SiteClock())
    clock.now += 10
    ledger.streams.site_works("s", began, SiteClock(3.0))
    state = ledger.streams.read("s")
    assert (state.rest.failures, state.rest.reason, state.skew) == (1, "down", 3.0)
    ledger.streams.site_works("s", failed_at + 1, SiteClock(3.0))
    assert ledger.streams.read("s").rest.failures == 0
