"""Verifying: what is stored is read again and compared with the ledger, the ledger with itself, and nothing is passed over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from bic_lib.actions import against_seals
from bic_lib.actions.selection import demand
from bic_lib.actions.strangers import holds_ours, strangers
from bic_lib.core import naming
from bic_lib.core.errors import BicError, LedgerError, Unsupported
from bic_lib.core.model import State
from bic_lib.engine.app import App
from bic_lib.engine.delivery import Destination
from bic_lib.engine.findings import Findings
from bic_lib.engine.proving import Problem
from bic_lib.engine.verifying import Looking, Seen, Verified, cursor, held, shares, unwatched
from bic_lib.evidence.setup import Setup
from bic_lib.ledger.records import HELD, Record
from bic_lib.ledger.stores import damage

UNKNOWN = "this ledger does not know what lies there: adopt it, or restore the ledger"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be verified: everything, or what fits all that is named.

    `since`: sessions and backups that began then or later, Unix seconds. `share`: that part (0 to 1) of what each destination
    holds, where the last such verify ended. `quick`: sizes only. `strict`: also what lies there and the ledger does not know.
    """

    destination: str | None = None
    site: str | None = None
    lsid: str | None = None
    since: int | None = None
    share: float | None = None
    quick: bool = False
    strict: bool = False

    def fits(self, record: Record) -> bool:
        named = ((self.site, record.item.site), (self.destination, record.destination), (self.lsid, record.item.lsid))
        return all(wanted in (None, there) for wanted, there in named) and record.item.start >= (self.since or 0)

    @property
    def by_item(self) -> bool:
        """Only some items of a destination are asked for, so that what else is there says nothing."""
        return self.site is not None or self.lsid is not None or self.since is not None


def verify(app: App, asked: Asked | None = None, *, seen: Seen = unwatched, seals: Setup | None = None) -> Verified:
    """Compare size and SHA-256 of every stored file, and the digest of all rows, with the ledger, and the ledger with itself.

    With `seals` also the ledger with what was sealed, where all or a whole destination is asked for. What is found is kept in the
    ledger. `seen` is told of each transfer, as it is looked at. Raises UsageError, LedgerError.
    """
    asked = asked or Asked()
    whole = damage.look_over(app.ledger.store)
    _demand_known(app, asked)
    looking = Looking(app, Findings(app.ledger), asked.quick, seen)
    if asked.share is not None:
        _look_at_share(looking, asked, asked.share)
    else:
        looking.at(held(app, asked.fits))
        _look_for_strangers(looking, asked)
        if not asked.by_item:
            looking.verified.problems += _against_seals(app, asked, seals)
    verified = looking.verified
    verified.problems += [Problem("", "ledger", "", "damaged", told) for told in whole]
    verified.problems += [one for one in looking.findings.damaged() if one.detail not in whole]
    return verified


def _against_seals(app: App, asked: Asked, seals: Setup | None) -> list[Problem]:
    if seals is None:
        return []
    try:
        return [one for one in against_seals.verify(app, seals) if asked.destination in (None, one.destination)]
    except LedgerError:
        raise
    except BicError as error:
        return [Problem(seals.around.destination, "seals", "", "unreadable", str(error))]


def _demand_known(app: App, asked: Asked) -> None:
    """Raises UsageError for a name that neither the settings nor the ledger know."""
    for kind, wanted, configured in (("site", asked.site, app.sites), ("destination", asked.destination, app.destinations)):
        if wanted is not None and wanted not in configured:
            left = {one.item.site if kind == "site" else one.destination for one in app.ledger.proof.records()}
            demand(kind, [wanted], [*configured, *sorted(left.difference(configured))])


def _look_at_share(looking: Looking, asked: Asked, share: float) -> None:
    for name, count in sorted(shares(looking.app, asked.fits, share).items()):
        part = replace(asked, destination=name)
        for _ in looking.at_next(cursor(name, asked.site or "", asked.since), part.fits, count):
            pass


# --- what the ledger does not know -----------------------------------------------------------------------------------


def _look_for_strangers(looking: Looking, asked: Asked) -> None:
    """A destination of which nothing is known must not hold anything of ours; strictly, none must hold what is not known.

    Also where only some items of it are asked for: nobody can tell whether what the ledger does not know is one of these.
    """
    app, problems = looking.app, looking.verified.problems
    places = [name for name in app.destinations if asked.destination in (None, name)]
    known = locations(app)
    for name in places:
        try:
            destination = app.destination(name)
            if asked.strict:
                problems += [one for one in _strangers(looking, destination, known[name]) if _may_be_asked_for(app, asked, one)]
            elif not known[name] and _holds_ours(app, destination):
                problems.append(Problem(name, "", "", "unknown", UNKNOWN))
        except LedgerError:
            raise
        except BicError as error:
            problems.append(Problem(name, "", "", "unreadable", str(error)))


def _holds_ours(app: App, destination: Destination) -> bool:
    try:
        return holds_ours(destination, {site.host for site in app.sites.values()})
    except Unsupported:  # a plug-in's kind that can't list what it holds has nothing to say
        return False


def _may_be_asked_for(app: App, asked: Asked, stranger: Problem) -> bool:
    """Not what is known to be of another session or site than was asked for; what tells neither may be of these."""
    if asked.lsid and stranger.lsid and asked.lsid != stranger.lsid:
        return False
    site = app.sites.get(asked.site or "")
    if site is None or _begins_with(stranger, site.host):
        return True
    return not any(_begins_with(stranger, other.host) for other in app.sites.values())


def _begins_with(stranger: Problem, host: str) -> bool:
    name = stranger.location.rpartition("/")[2]
    return stranger.location.startswith(f"session/{host}/") or name.startswith(f"{naming.escaped(host)}-")


def _strangers(looking: Looking, destination: Destination, known: set[str]) -> list[Problem]:
    found = list(strangers(destination, known, looking.findings.patterns(destination.name)))
    if found:  # what was published meanwhile is written by now
        later = locations(looking.app)[destination.name]
        found = [one for one in found if one.location not in later]
    unknown = [Problem(destination.name, "", "", "unknown", UNKNOWN)] if found and not known else []
    return unknown + looking.findings.foreign(destination.name, found)


def locations(app: App) -> dict[str, set[str]]:
    """By destination, every location that the ledger knows, those of publications under way too."""
    known: dict[str, set[str]] = defaultdict(set)
    for record in app.ledger.proof.records():
        if record.outcome.state in (*HELD, State.PURGING) and record.outcome.location:
            known[record.destination].add(record.outcome.location)
        if record.aside:
            known[record.destination].add(record.aside)
        if record.intent and record.outcome.state not in (State.GIVEN_UP, State.LOST):
            known[record.destination] |= {str(record.intent.get(name, "")) for name in ("location", "token")}
    return known
