"""Evidence: sealed days, which a third party can check without us (docs/design.md 14).

* `lists` lines as `sha256sum` has them · `names` of the files below `seals/` · `statement` what is signed of a day
* `standing` what a day's journal changed, as lines · `drafts` the lists while they are made
* `keys` P-256 keys and signatures · `time_stamps` of others (RFC 3161)
* `checking` statements that follow from each other, and their lists; `checked` what that gives
* `files` what lies in a place against what must lie there
* `completeness` what the appliance listed against what became of it
* `called` what statements call what was renamed
* `against` the ledger held against the seals, `daily` a part of it each day · `findings` what does not fit
* `making` a day's seal, byte for byte · `sealing` the act: lists, statement, signature, head · `setup` what it needs
* `folder` where it is published · `taking_up` a seal that lies there already · `stamping` time stamps for it
"""
