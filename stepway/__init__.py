"""The import name of the server: in a checkout, links to the folders beside this one."""

import sys
from pathlib import Path

# A wheel carries the library, of exactly its own version, so that one file installs everything.
_BUNDLED = Path(__file__).parent / "_bundled"
if _BUNDLED.is_dir():
    sys.path.insert(0, str(_BUNDLED))
