"""`python -m tapestry_backend.cli` is `tapestry`."""

import sys

from . import main

sys.exit(main())
