"""No answer of an appliance, as an error: what the same or a smaller question may mend is Interrupted, all else is the site's."""

from __future__ import annotations

from bic_lib.appliance.calls import Call
from bic_lib.core.errors import BicError, Interrupted, SiteError
from bic_lib.network.unanswered import Party, unanswered


def no_answer(host: str, call: Call, error: Exception) -> BicError:
    """The error for an exception before the answer."""
    party = Party("the appliance", f"https://{host}", "host", trusted_by="ca_file")
    found = unanswered(party, error, call.read_seconds)
    if found.asked:
        return Interrupted(f"{host}: {call.subject}: {found.what}", hint=found.hint)
    return SiteError(f"{host}: {found.what}", hint=found.hint)
