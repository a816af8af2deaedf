"""`python -m thuesim_desk` is the command line."""

import sys

from .command_line import main

sys.exit(main())
