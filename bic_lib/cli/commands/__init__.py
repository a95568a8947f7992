"""One module a command, with `command` in it; imported when the command is called (:mod:`bic_lib.cli.main` lists them)."""
