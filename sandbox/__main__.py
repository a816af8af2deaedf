"""`python -m sandbox`."""

from sandbox.command_line import main

main()
