"""`python -m bic_lib` is the `bic` command."""

from bic_lib.cli.main import main

main()
