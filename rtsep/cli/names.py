"""Names of files as any terminal can show them: one line, whatever bytes they are made of."""

from __future__ import annotations

import unicodedata

from rtsep.cli.options import out

UNSHOWN = ("Cc", "Cs", "Zl", "Zp")  # categories: controls, what is no text, ends of lines
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they turn round what follows


def shown(text: object) -> str:
    r"""Give a text with a name in it, such that standard output takes it.

    Args:
        text: what is to be said; bytes that are no text, ends of lines and what the terminal has no letters for are
            written as `\xdf` and the like.
    """
    words = "".join(map(_letter, str(text)))
    try:
        return words.encode(out.encoding, "backslashreplace").decode(out.encoding)
    except LookupError:  # an encoding that Python does not know
        return words.encode("ascii", "backslashreplace").decode("ascii")


def _letter(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is no text, as Python passes it on
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if unicodedata.category(letter) in UNSHOWN or letter in TURNING:
        return letter.encode("unicode_escape").decode()
    return letter
