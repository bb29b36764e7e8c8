"""`python -m lq`: the command line."""

from lq.cli import main

main()
