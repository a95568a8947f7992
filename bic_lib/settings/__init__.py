"""`bic.toml` → Settings, or every problem of it at once.

* `loading` reads and parses the file · `model` its sections and keys, declared once · `spelling` how single values are written
* `checks` parts that contradict each other · `problems` what is wrong, in an administrator's words
* `last_good` the last good ones, kept in the ledger · `access` how they enter Azure and where they keep their secrets
* `plug_ins` destination kinds of other packages · `docs` writes docs/settings.md
"""
