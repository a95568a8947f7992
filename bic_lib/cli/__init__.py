"""The `bic` command: one small module a command in `commands/`; what a command does is in :mod:`bic_lib.actions`."""
