"""What the buttons do: check, try again, acknowledge, a test notice. Each is logged with who did it, and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.datastructures import MultiDict

from bic_lib.actions import acknowledging, check, failures
from bic_lib.actions.acknowledging import Choice
from bic_lib.actions.failures import Again
from bic_lib.actions.formatting import count
from bic_lib.actions.time_arguments import moment
from bic_lib.core.ports.preflight import Check
from bic_lib.engine import tick
from bic_lib.notices import trial
from bic_lib.web.http import Refusal, Response, form
from bic_lib.web.pages.asked import HOME, Asked, local

_SOME = 30
"""Troubles that are shown of those which somebody is about to acknowledge."""
_RED = 5
"""Checks that are told with their reason; the command tells all."""


def look(asked: Asked) -> Response:
    """Check all, or a site. Raises UsageError."""
    fields, _ = form(asked.request)
    sites = [fields["site"]] if fields.get("site") else []
    asked.did(f"check {' '.join(sites)}".strip())
    return asked.back(_told(check.check(asked.host.settings(), sites)))


def notify(asked: Asked) -> Response:
    """Send a test by each way that the settings name. Raises SettingsError when they name none."""
    found = trial.try_all(lambda: asked.app, asked.host.settings())
    asked.did("test notice")
    return asked.back("\n".join(f"{one.name}: {one.detail} {one.hint}".strip() for one in found))


def _told(checks: Sequence[Check]) -> str:
    red = [one for one in checks if not one.ok]
    if not red:
        return f"All is well: {count(len(checks), 'check')}."
    lines = [f"{one.subject}, {one.check}: {one.detail} {one.hint}".strip() for one in red[:_RED]]
    more = [f"… and {len(red) - _RED} more: `bic check` tells all."] if len(red) > _RED else []
    return "\n".join([f"{len(red)} of {count(len(checks), 'check')} failed:", *lines, *more])


def retry(asked: Asked) -> Response:
    """Try again: by ids, a site, a destination, or all. Raises UsageError."""
    fields, _ = form(asked.request)
    app = asked.app
    again = Again(fields.getlist("id"), fields.get("all") == "1", fields.get("site", ""), fields.get("destination", ""))
    if problems := again.problems(app):
        raise Refusal(400, problems)
    retried = failures.retry(app, again)
    asked.host.visit(tick.visits(app))
    named = "all" if again.everything else " ".join(filter(None, [*again.ids, again.site, again.destination]))
    asked.did(f"retry {named}: {len(retried.due)} due, {len(retried.refused)} refused")
    ended = [f"No longer resting: {', '.join(retried.subjects)}."] if retried.subjects else []
    refused = list(dict.fromkeys(retried.refused.values()))[:_RED]
    told = f"{count(len(retried.due), 'transfer')} will be tried now." if retried.due or not ended else ""
    return asked.back("\n".join(filter(None, [told, *ended, *retried.paused, *refused])))


def acknowledge(asked: Asked) -> Response:
    """Say that losses and doubts were seen; of several it asks first, with their count. Raises UsageError."""
    fields, _ = form(asked.request)
    choice = _choice(fields)
    found = acknowledging.choose(asked.app, choice)
    if fields.get("confirm") != str(len(found.troubles)):
        return _ask(asked, fields, found)
    done = acknowledging.acknowledge(asked.app, found.troubles, asked.visitor.name)
    asked.did(f"acknowledge {' '.join(one.id for one in done.troubles[:_SOME])}: {len(done.troubles)} in all")
    refused = list(dict.fromkeys({**found.refused, **done.refused}.values()))[:_RED]
    return asked.back("\n".join([f"{count(len(done.troubles), 'trouble')} acknowledged.", *refused]))


def _choice(fields: MultiDict[str, str]) -> Choice:
    before = fields.get("before", "").strip()
    named = {name: fields.get(name, "").strip() for name in ("site", "destination", "data")}
    return Choice(fields.getlist("id"), **named, before=moment(before, "before") if before else None)


def _ask(asked: Asked, fields: MultiDict[str, str], found: acknowledging.Chosen) -> Response:
    if not found.troubles:
        reasons = list(dict.fromkeys(found.refused.values()))
        return asked.back("\n".join(["Nothing to acknowledge: none of it is lost, doubtful or unproven.", *reasons[:_RED]]))
    kept = [(name, value) for name, value in fields.items(multi=True) if name in ("id", "site", "destination", "data", "before")]
    some = [failures.shown(one) for one in found.troubles[:_SOME]]
    back = local(fields.get("back", "")) or HOME
    return asked.page("confirm.html", number=len(found.troubles), some=some, fields=kept, back=back)
