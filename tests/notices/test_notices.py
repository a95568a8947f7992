"""Notices: what is worth one, and when a mail is due."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bic_lib.core.errors import SettingsError
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, DataType, Outcome, ReportKind, State, Stream, Visit
from bic_lib.engine import tick
from bic_lib.engine.steps.recordings import recording_step
from bic_lib.ledger.notices import Cause, Lasts, Notice, Notices
from bic_lib.ledger.step import Queue
from bic_lib.ledger.stores import sqlite
from bic_lib.ledger.streams import Rest, SiteClock, StreamState
from bic_lib.ledger.troubles import Trouble
from bic_lib.notices.notify import Mail, due_mail, notify, poisoned
from bic_lib.settings import last_good
from bic_lib.settings.including import Texts
from tests.notices.conftest import HOUR, World

# --- when a mail is due ----------------------------------------------------------------------------------------------

_SEEN = Notice(Cause("k", "s", "t", 0, Lasts.SEEN), first=0, last=0)
_PATIENT = Notice(Cause("k", "s", "t", 0, Lasts.SEEN, patience=HOUR), first=0, last=0)
_EVENT = Notice(Cause("k", "s", "t", 0, Lasts.EVENT), first=0, last=0)


@pytest.mark.parametrize(
    ("notice", "now", "due"),
    [
        (_SEEN, 0, Mail.FIRST),
        (_PATIENT, HOUR - 1, Mail.NONE),
        (_PATIENT, HOUR, Mail.FIRST),
        (replace(_SEEN, sent=0), DAY - 1, Mail.NONE),
        (replace(_SEEN, sent=0), DAY, Mail.REMINDER),
        (replace(_SEEN, sent=2 * DAY), DAY, Mail.REMINDER),  # the clock went back
        (replace(_SEEN, sent=0, over=5), 5, Mail.ALL_CLEAR),
        (replace(_SEEN, over=5), 5, Mail.FORGET),
        (_EVENT, DAY - 1, Mail.FIRST),
        (_EVENT, DAY, Mail.FORGET),
        (replace(_EVENT, sent=10, last=0), DAY - 1, Mail.NONE),
        (replace(_EVENT, sent=10, last=DAY), DAY + 10, Mail.REMINDER),
        (replace(_EVENT, sent=10, last=DAY), DAY + 9, Mail.NONE),
    ],
)
def test_due_mail(notice: Notice, now: float, due: Mail) -> None:
    """One mail when a cause shows, one a day while it lasts (of an event: when there is news), one when it is over."""
    assert due_mail(notice, now) is due


# --- what is worth a notice ------------------------------------------------------------------------------------------


def test_nothing_to_tell(world: World) -> None:
    """While all is well nobody is written to, and nothing is kept."""
    assert (world.tick(), world.tick(1), world.tick(24)) == ([], [], [])
    assert Notices(world.ledger.store).read().notices == []


@pytest.mark.parametrize("what", ["site", "destination", "report"])
def test_what_rests_for_an_hour_is_told_once_daily_and_when_it_is_over(world: World, what: str) -> None:
    """A site, a destination, a site's report: nothing in the first hour, one mail, a reminder a day, an all-clear."""

    def rest(rest: Rest) -> None:
        if what == "site":
            world.ledger.streams.rest_site("support", rest, SiteClock())
        elif what == "destination":
            world.ledger.streams.rest_destination("archive", rest)
        else:
            claim = world.ledger.streams.claim_reports("support", ReportKind.SUPPORT)
            assert claim
            claim.body = {"rest_until": rest.until, "rest_failures": rest.failures, "rest_since": rest.since, "rest_reason": "x"}
            claim.release()

    rest(Rest(world.now + 60, 1, world.now, "connection refused"))
    assert world.tick(0.9) == []
    assert [subject.split(":")[0] for subject in world.tick(0.2)] == ["bic"]
    assert world.tick(1) == []
    assert [subject.split(":")[0] for subject in world.tick(24)] == ["bic, reminder"]
    rest(Rest())
    assert [subject.split(":")[0] for subject in world.tick(1)] == ["bic, over"]
    assert world.tick(48) == []


def test_two_causes_are_two_mails(world: World) -> None:
    """Each cause has its own mail, with the reason that the site or destination gave."""
    world.ledger.streams.rest_site("support", Rest(world.now, 3, world.now - 2 * HOUR, "credentials refused"), SiteClock())
    world.ledger.streams.rest_destination("archive", Rest(world.now, 3, world.now - 2 * HOUR, "disk full"))
    notify(world.app, [world.box])
    assert {text.rsplit("\n\n", 2)[1] for _, text in world.box.mails} == {"credentials refused", "disk full"}


def test_given_up_items_are_one_mail(world: World) -> None:
    """However many were given up, one mail tells their count and what can still be done, and nothing of any session."""
    for number in range(30):
        world.fails(State.GIVEN_UP, f"lsid{number}")
    notify(world.app, [world.box])
    [(subject, text)] = world.box.mails
    assert subject == "bic: items of support are lost"
    assert "30 × session_recordings to archive" in text
    assert "`bic retry`" in text
    assert not [part for part in ("lsid1", "Zoë", "O'Neil") if part in subject + text]


def test_given_up_items_that_are_delivered_later_are_cleared(world: World) -> None:
    """A retry that succeeds ends the notice with an all-clear."""
    record = world.fails(State.GIVEN_UP)
    assert len(world.tick()) == 1
    world.ledger.proof.settle([replace(record, outcome=Outcome(State.STORED, location="a"))])
    assert world.tick(1) == ["bic, over: items of support are lost"]


@pytest.mark.parametrize("state", [State.EXPIRED, State.NONE])
def test_what_was_never_to_be_had_is_no_notice(world: World, state: State) -> None:
    """Expired at first sight, or announced and not there: a note, which is shown and never mailed."""
    world.fails(state)
    assert (world.tick(), world.tick(24)) == ([], [])


def test_a_loss_is_told_once_and_in_each_reminder_until_it_is_acknowledged(world: World) -> None:
    """One mail however many were lost, a daily reminder, and an end when somebody has seen it."""
    for number in range(3):
        world.fails(State.LOST, f"a{number}")
    notify(world.app, [world.box])
    [(subject, text)] = world.box.mails
    assert subject == "bic: items of support are lost"
    assert "3 × session_recordings to archive" in text
    world.box.mails.clear()
    assert (world.tick(12), world.tick(13)) == ([], ["bic, reminder: items of support are lost"])
    for trouble in list(world.ledger.troubles.open()):
        world.ledger.troubles.acknowledge(trouble, "ann", world.now)
    assert world.tick(1) == ["bic, over: items of support are lost"]
    assert world.tick(48) == []


def test_doubtful_content_is_told(world: World) -> None:
    """What was stored and may not be what was asked for: one mail of a site, a reminder a day, until somebody has looked."""
    world.fails(State.STORED, doubt="89504e47")
    assert world.tick() == ["bic: items of support are doubtful"]
    [trouble] = world.ledger.troubles.open()
    world.ledger.troubles.acknowledge(trouble, "ann", world.now)
    assert world.tick(1) == ["bic, over: items of support are doubtful"]


@pytest.mark.parametrize(("kind", "destination", "of"), [("ledger", "", "the ledger"), ("destination", "archive", "archive")])
def test_what_verify_found_is_told_without_naming_a_session(world: World, kind: str, destination: str, of: str) -> None:
    """A damaged row, a foreign file: their texts hold ids of sessions, so a mail has their count only."""
    found = Trouble(
        Severity.UNPROVEN, "", "", destination, "damaged", kind=kind, reason="row items / x / sessions|7c1f0e2a", place="7c1f0e2a"
    )
    world.ledger.troubles.note([found])
    stream = Stream("support", DataType.SESSIONS, "archive")
    world.ledger.streams.write(StreamState(stream, begin=0, mark=int(world.now), backlog_done_at=world.now))
    notify(world.app, [world.box])
    [(subject, text)] = world.box.mails
    assert subject == f"bic: what is stored of {of} is not proven"
    assert "7c1f0e2a" not in subject + text


def test_what_waits_and_is_forgotten_soon_is_told(world: World) -> None:
    """A recording of a stream that was filled and still waits 14 days before the appliance forgets it is told at once."""
    stream = Stream("support", DataType.SESSION_RECORDINGS, "archive")
    record = replace(world.fails(State.PLANNED), forgotten_at=world.now + 15 * DAY)
    world.ledger.work.plan([recording_step(record, Queue.FRESH, world.now)])
    mark = int(world.now + 10 * DAY)  # it keeps up, so that only the recording waits
    world.ledger.streams.write(StreamState(stream, begin=0, mark=mark, backlog_done_at=world.now))
    assert world.tick(23) == []
    world.now += 2 * HOUR
    notify(world.app, [world.box])
    [(subject, text)] = world.box.mails
    assert subject == "bic: items of support wait and will be forgotten soon"
    assert "session_recordings to archive" in text
    assert "The appliance forgets the first of it on 2026-10-06." in text


def test_an_item_that_fails_is_told_after_an_hour_and_again_when_it_is_forgotten_soon(world: World) -> None:
    """A transfer that failed and is tried again: failing first, losing from 14 days before its end."""
    world.fails(State.FAILED, next_try=world.now + 100 * DAY, forgotten=20 * DAY)
    assert (world.tick(), world.tick(0.9)) == ([], [])
    assert world.tick(0.2) == ["bic: items of support fail"]
    assert "bic: items of support wait and will be forgotten soon" in world.tick(6 * 24)


@pytest.mark.parametrize(("behind", "told"), [(2 * HOUR, ""), (2 * DAY, "streams of {} lag"), (80 * DAY, "forgotten soon")])
def test_a_stream_that_is_far_behind_is_told(world: World, behind: int, told: str) -> None:
    """What was never even listed can be forgotten too: at once, and with the day."""
    stream = Stream("support", DataType.SESSIONS, "archive")
    state = StreamState(stream, begin=0, mark=int(world.now - behind), backlog_done_at=world.now)
    world.ledger.streams.write(state)
    subjects = world.tick()
    assert [told.format("support") in subject for subject in subjects] == [True] * bool(told)


def test_broken_settings_are_told_until_they_are_mended(world: World) -> None:
    """After an hour, with every problem; the all-clear follows when they are good again."""
    texts = Texts("[ledger]")
    last_good.keep(world.ledger, texts, SettingsError("The settings can't be used: 1 problem.", ("sites.a.host: is missing",)))
    assert world.tick() == []
    world.now += HOUR
    notify(world.app, [world.box])
    assert [("sites.a.host" in text) for _, text in world.box.mails] == [True]
    assert world.box.subjects() == ["bic: the settings can't be used"]
    last_good.keep(world.ledger, texts, None)
    assert world.tick(1) == ["bic, over: the settings can't be used"]


def test_a_scheduler_that_stands_still_is_told(world: World) -> None:
    """Where something ran as a service and nothing ticked for more than five minutes, everything else is silent too."""
    tick.tick(world.app)
    assert world.tick() == []
    assert "bic: the timer stands still" in world.tick(2)


def test_poison_messages_are_told(world: World) -> None:
    """Visits that break down: one mail a day, ended by silence a day after the last."""
    poisoned(world.ledger, Visit("support"))
    world.now += 60
    poisoned(world.ledger, Visit("support"))
    assert world.tick() == ["bic: visits to site support break down"]
    assert [notice.count for notice in Notices(world.ledger.store).read().notices] == [2]
    assert world.tick(25) == []
    assert Notices(world.ledger.store).read().notices == []


def test_unreachable_mail_server_delays_the_mail(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be sent is sent by a later tick, once."""
    poisoned(world.ledger, Visit("support"))
    world.box.broken = True
    assert (world.tick(), world.tick(1)) == ([], [])
    assert "a notice waits" in caplog.text
    world.box.broken = False
    assert (len(world.tick(1)), world.tick(1)) == (1, [])


def test_without_a_notifier_notices_are_kept(world: World) -> None:
    """The dashboard shows them; when a mail server is named later they are sent."""
    poisoned(world.ledger, Visit("support"))
    notify(world.app, [])
    assert len(Notices(world.ledger.store).read().notices) == 1
    assert len(world.tick()) == 1


def test_two_ticks_at_once_send_one_mail(world: World, tmp_path: Path) -> None:
    """The mail is noted before it is sent, by a conditional write: whoever comes second leaves it."""
    poisoned(world.ledger, Visit("support"))
    other = Notices(sqlite.create(tmp_path / "ledger.sqlite", clock=lambda: world.now))
    [read_before] = other.read().notices
    assert len(world.tick()) == 1
    assert other.mark_sent(read_before, world.now) is None
