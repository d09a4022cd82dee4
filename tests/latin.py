import re
from collections.abc import Iterator
from html import unescape

TERMS = ("tierwise effects", "tierwise plan", "LightGBM", "Pareto/NBD", "BG/NBD")
"""What no language translates."""
_NOT_SAID = re.compile("<style.*?</style>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_RUN = re.compile(r"[A-Za-z][\w./-]*(?:[ ,;:()]+[A-Za-z][\w./-]*)+")


def latin_runs(page: str, *names: str) -> list[str]:
    """Return what is left in Latin letters, two words or more, beside these names, which a company gave."""
    found = []
    for text in said(page):
        for name in sorted((*names, *TERMS), key=len, reverse=True):
            text = text.replace(name, "\N{BULLET}")  # noqa: PLW2901 - name after name
        found += _RUN.findall(text)
    return found


def said(page: str) -> Iterator[str]:
    """Yield the texts of a page of HTML, and what is told to those who cannot see its pictures."""
    shown = _NOT_SAID.sub("", page)
    for text in (*re.split(r"<[^>]*>", shown), *re.findall(r'aria-label="([^"]*)"', shown)):
        if text.strip():
            yield unescape(text).strip()
