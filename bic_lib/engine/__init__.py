"""What happens: a tick makes due what is due, a visit does it, step by step.

* `app` what both need, in one value · `tick` makes due, says which sites want a visit · `visit` takes a lane and does due steps
* `runs` the ends of runs · `probing` looks at what failed last and has no work
* `steps/` one module a kind of step · `delivery` publishing once · `tee` one download, several destinations
* `memory` the end of a process that has none · `losses` what was forgotten while a stream stood still
* `works` what belongs to no site, once a period
* `verifying` looks again at what is stored: `proving` each transfer, `findings` that stay
* `resting` ends rests before their time: what was mended is tried at once
* `file_lists` where each session's files lie, as rows · `loads` which databases are awake for that · `gathering` which sleep
* `health` what the ledger knows, as facts · `waiting` due work that no worker takes in hand
* `events` what machines read about the work
"""
