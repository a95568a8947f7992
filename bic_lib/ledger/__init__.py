"""The ledger: what is due, how far each stream is, what became of every item, and what people want to know of it.

Its parts stand over one small port, :class:`bic_lib.core.ports.store.Store`: a new place for ledgers is one file.

* `work` steps that are due, `step` one as rows · `streams` how far each is planned, sites, lanes · `leases` who may work at what
* `notes` of destinations · `copying` the whole into a file and back
* `rests` of what failed, and their end before their time · `pauses` when an appliance wants to be left alone
* `lessons` what a site's own words were found to mean
* `proof` what became of every item · `records` one transfer as a row · `index` where a session stands
* `troubles` what is wrong, and what of it was acknowledged · `causes` what of it is told as one
* `journal` what changed at destinations, day by day
* `holds` what nobody may purge or retire · `logins` those of the pages that were ended
* `seals` how far days are sealed, and which lines hold · `listings` what appliances listed of a day
* `breakdowns` visits that ended by a bug
* `told` outcomes as runs and days count them · `history` runs · `days` what was stored a day
* `clearing` what gets too old · `daily` both, once a day
* `names` what sites and destinations are called · `taking_over` who was called otherwise · `renamed` rows under these names
* `notices` · `migration` what older ledgers lack, `old_runs` of it · `contention` rows that many change
* `stores/` what a ledger can be kept in
"""

from __future__ import annotations

from bic_lib.core.ports.store import Store
from bic_lib.ledger.history import History
from bic_lib.ledger.journal import Journal
from bic_lib.ledger.names import UNCHANGED, Names
from bic_lib.ledger.proof import Proof
from bic_lib.ledger.renamed import Renamed
from bic_lib.ledger.streams import Streams
from bic_lib.ledger.troubles import Troubles
from bic_lib.ledger.work import Work


class Ledger:
    """The parts of a ledger in one hand. `holder` names this process in leases; `names` tells what is called otherwise."""

    def __init__(self, store: Store, holder: str, names: Names = UNCHANGED) -> None:
        self.names = names
        self.store = store = Renamed(store, names) if names else store
        self.holder = holder
        self.troubles = Troubles(store)
        self.journal = Journal(store)
        self.history = History(store, self.journal)
        self.proof = Proof(store, self.troubles, self.journal)
        self.streams = Streams(store, holder)
        self.work = Work(store, holder)

    def now(self) -> float:
        """The ledger's clock, Unix seconds."""
        return self.store.now()
