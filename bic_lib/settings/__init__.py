"""`bic.toml` → Settings, or every problem of it at once.

* `loading` reads and parses the file · `model` its sections and keys, declared once · `spelling` how single values are written:
  `times`, `locations` (hosts, URLs, folders, shares), `visible` (what a text may not hide)
* `including` the main file and what it includes · `defaults` what several sites or destinations share
* `checks` parts that contradict each other · `problems` what is wrong, in an administrator's words
* `last_good` the last good ones, kept in the ledger · `access` how they enter Azure and where they keep their secrets
* `marks` of what a site or destination is made, so that a change is seen
* `places` where destinations lay that left them · `plug_ins` destination kinds of other packages
* `showing` the effective ones and the JSON Schema · `docs` writes docs/settings.md
"""
