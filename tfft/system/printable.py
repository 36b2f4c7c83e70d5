"""Names and messages as they can be printed: on a terminal they are text, never commands to it."""

import re

# Controls of the C0 and C1 sets; marks that reorder what is around them; what is no character:
# the halves that Python puts for bytes of file names that are not UTF-8.
_NOT_TEXT = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_NO_UNICODE = re.compile("[\ud800-\udfff]")
_IN_TEXT = re.compile(f"[{_NOT_TEXT}]")
_IN_NAME = re.compile(f"[\t\n{_NOT_TEXT}]")


def printable(text: str) -> str:
    r"""Returns a text with escapes such as ``\x1b`` for what is not text; lines and tabs stay."""
    return _IN_TEXT.sub(_escape, text)


def printable_name(name: str) -> str:
    r"""Returns a name, of a file or a class, on one line: also line breaks become escapes.

    A byte of a file name that is not UTF-8 is shown as it is: ``caf\xe9.jpg``.
    """
    return _IN_NAME.sub(_escape, name)


def unicode(name: str) -> str:
    """Returns a name without the bytes in it that are no UTF-8: they become escapes."""
    return _NO_UNICODE.sub(_escape, name)


def _escape(found: "re.Match[str]") -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
