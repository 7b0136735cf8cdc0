"""`python -m stepway` is the console script `stepway`."""

from stepway.cli.main import main

main()
