"""One module a kind of step, and what they share.

* `windows` new sessions, by time · `reconcile` what windows can't show · `backfill` history · `lsids` sessions by their ids
* `recordings` one recording · `backups` one site backup · `imports` uploaded XML · `downloads` the API tester
* `beginnings` what must not lie where a first pull begins · `adopted` recordings that lay there before their sessions were known
* `emptied` what must not be gone where things were stored
* `losses` what the appliance forgot before it was had · `repair` one item anew · `copies` what other destinations have
* `probes` whether what failed is well again
* `by_lsid` one bad id costs the others nothing · `listed_only` sessions that a listing shows and no report gives
* `worker` finds, claims and does a step · `job` what a step has in hand · `documents` each session of a report to every stream
* `sending` documents to one destination · `file_transfer` one download to all its destinations · `outcomes` what became of a try
"""
