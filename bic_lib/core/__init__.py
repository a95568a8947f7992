"""Values and rules: no input, no output, the standard library and lxml only. Time and ids are arguments.

* `model` the values that everything else is about · `errors` all that can go wrong, by what to do next
* `ports` what an appliance, a destination and a ledger must be able to do
* `plan` what is due, which windows, when to try again · `naming` format and item → a name that is safe everywhere
* `health` what is well and what is not, what will be lost when · `losses` what was forgotten before it was had
* `ticking` who ticked when, and whether the timer still does
* `escaping` values where people see them · `moments` times there
* `named` a name → the item that it is of
* `meant` what an unknown word was meant to be · `miscopied` what came along with a secret · `version`
* `columns`, `rows` session document → rows of the eight tables, `row_digest` their proof
* `session_content` rows of a session → what happened in it, as people read it
* `searching` what can be asked of the sessions that a database holds
* `azure_hosts` the hosts that a token may be sent to
* `recognition` what came, by its first bytes · `packing` the beginning of what is packed
* `beginnings` how a video begins · `containers` whether it is whole
* `retention` which backups are good, and how many stay
"""
