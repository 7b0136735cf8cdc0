"""`python -m stepway` is the console script `stepway`."""

from stepway.cli.entry import main

main()
