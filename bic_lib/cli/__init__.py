"""The `bic` command; what a command does is in :mod:`bic_lib.actions`.

* `main` finds the command, turns what went wrong into words and an exit status · `commands/` one small module a command
* `call` the options common to all · `output`, `tables` results as JSON and tables · `progress` while it goes on
* `wrong_usage` what is wrong with what somebody typed
* `outcome` what runs and downloads tell
* `json_shape` what `--json` holds, told beside each command · `json_docs` writes docs/json.md from it
* `examples` two for each command · `completing` what a shell offers for a name
* `stopping` SIGINT and SIGTERM · `demonstration` the folder of `bic demo` · `demo_folder` as other commands meet it
"""
