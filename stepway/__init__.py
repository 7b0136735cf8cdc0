"""The package of the server. In a checkout it contains links to the folders next to it."""

import sys
from pathlib import Path

# The wheel contains the library of its own version, so that one file installs everything.
_BUNDLED = Path(__file__).parent / "_bundled"
if _BUNDLED.is_dir():
    sys.path.insert(0, str(_BUNDLED))
