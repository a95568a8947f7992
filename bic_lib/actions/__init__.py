"""What people ask for, values in, values out: the same for commands, routes and pages.

* `check` the preflight · `download` the API tester · `backfill` history · `importing`, `uploading` session XML
* `from_files` the API tester for stored XML · `old_folders` what folders hold · `belonging` which site a stored file is from
* `adopting` files that lie in a destination: `inventory` what their names tell, `adoption` what they hold
* `verify` the proof: what is stored, and `strangers` that nobody knows · `repairing` what it found
* `against_seals` the ledger held against them, by verify
* `seals` sealed days, and checking a folder against them
* `session` one session: its copies, how far they are proven, what happened in it
* `converting` a session's recording · `session_search` sessions by their words
* `bag` a session for auditors, `bag_readme` what they read
* `purging` removing what was delivered, `purge_choice` of which sessions · `holding` what must stay
* `health` whether all is well · `acknowledging` that a loss or a doubt was seen
* `status`, `runs`, `failures`, `failing`, `overview` how everything stands
* `narrowing` of how everything stands, some sites or what is wrong
* `database` what its tables lack
* `running` a tick and its visits here · `stopping` ending early
* `left_alone` why something that was asked for was not delivered again
* `log_files` the two logs as one
* `watching` how far work is that goes on
* `selection` sites and destinations that somebody names · `time_arguments` times that somebody types
* `results` what was done, item by item · `timestamps`, `formatting` as people read it
"""
