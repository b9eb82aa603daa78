"""Layer names that artists give; read inside Krita and by the tests outside."""

_LONG = "a very long sentence about the sea " * 57

ODD_NAMES = (
    "\U0001f305 sunrise \U0001f30a",
    _LONG[:2000].strip(),
    'a "quoted" <name> & more',
    "\u6d77",
)
