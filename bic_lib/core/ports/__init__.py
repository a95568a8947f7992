"""The edges of the core: what an appliance, a destination and a ledger must be able to do.

* `appliance` · `files`, `tables` places for files and for rows · `store` what a ledger is built on
* `access` how Azure is entered · `preflight` a line of what `bic check` looked at

Adapters translate their vendor's exceptions into :mod:`bic_lib.core.errors`; nobody else looks at vendor errors. Nothing here
retries: when to try again is decided in one place, by the retry table in :mod:`bic_lib.core.plan`.
"""
