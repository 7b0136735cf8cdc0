"""Turns texts into short names for addresses and files."""

import re
import unicodedata

_OTHERS = re.compile(r"[\W_]+")


def slug(text: str, separator: str = "-") -> str:
    """Return the text in lower case, with one separator between its words.

    Letters of all scripts stay. Raises ValueError if the text has neither letters nor digits.
    """
    words = _OTHERS.sub(" ", unicodedata.normalize("NFKC", text).lower()).split()
    if not words:
        raise ValueError(f"{text!r} has neither letters nor digits")
    return separator.join(words)
