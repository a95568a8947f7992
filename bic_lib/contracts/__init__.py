"""One suite of behaviours a port; every adapter's test module inherits it and hands over what it tests. Plug-ins run them too.

* `file_store` places for files · `table_destination` places for rows, with `documents` to load · `store` places for a ledger

Needs pytest; left out of what is deployed.
"""

import pytest

pytest.register_assert_rewrite("bic_lib.contracts.file_store", "bic_lib.contracts.store")
