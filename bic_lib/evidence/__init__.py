"""Evidence: sealed days, which a third party can check without us (docs/design.md 14).

* `lists` lines as `sha256sum` has them · `names` of the files below `seals/` · `statement` what is signed of a day
* `standing` what a day's journal changed, as lines · `keys` P-256 keys and signatures
* `checking` statements that follow from each other, and files against their lists
* `making` a day's seal, byte for byte · `sealing` the act: lists, statement, signature, head
"""
