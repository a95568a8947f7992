"""One suite of behaviours a port; every adapter's test module inherits it and hands over what it tests. Plug-ins run them too.

* `file_store` places for files (a `place` as each process gets at it) · `store` places for a ledger
* `table_destination` places for rows, with `digests` of what is there: a `database` to look into, `documents` to load

Needs pytest; left out of what is deployed.
"""

import pytest

_ASSERTING = ("file_store", "table_destination", "digests", "database", "store")

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _ASSERTING))
