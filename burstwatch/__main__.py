"""`python -m burstwatch` is the burstwatch command."""

import sys

from burstwatch.cli import main

sys.exit(main())
