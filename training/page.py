"""What every page is made of: the document, its tables and its pictures, in one file that opens anywhere."""

import io
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from html import escape
from importlib.resources import files

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training import plots

STYLE = files("training").joinpath("page.css").read_text("utf-8")
SIZE = (4.8, 3.5)
"""Of a plot, in inches: small enough that its letters can be read on a telephone."""
_THEME = {
    plots.BLUE: "var(--blue)",
    plots.VERMILION: "var(--vermilion)",
    plots.GREEN: "var(--green)",
    plots.PINK: "var(--pink)",
    plots.AMBER: "var(--amber)",
    plots.GREY: "var(--grey)",
    "#000000": "currentColor",
    "#262626": "currentColor",
    "#b0b0b0": "var(--line)",
    "#cccccc": "var(--line)",
    "#ffffff": "var(--page)",
}
_VARIABLES = {colour.lower(): variable for colour, variable in _THEME.items()}
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)
_STYLED = re.compile(r'(?:style|fill|stroke)="[^"]*"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")


def document(title: str, body: Iterable[str], *, language: str = "en") -> str:
    """Return a whole page of HTML; light or dark, as the reader's screen asks."""
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(text: str) -> str:
    """Return a heading below that of a section."""
    return f"<h3>{escape(text)}</h3>"


def listed(texts: Iterable[str]) -> str:
    """Return plain texts as a list."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def beside(*parts: str) -> str:
    """Put parts side by side where there is room."""
    return f'<div class="beside">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Collection[int] = (0,),
    longs: Collection[int] = (),
    own: str | None = None,
) -> str:
    """Return a table of plain texts, which scrolls inside its box where it is too wide.

    Parameters
    ----------
    texts
        The columns that stand to the left; all others hold numbers.
    longs
        Those of them whose cells may take several lines.
    own
        Rows that start with it are set in bold.
    """
    kinds = [
        "text long" if number in longs else "text" if number in texts else ""
        for number in range(len(columns))
    ]
    head = _row("th", columns, kinds)
    body = "".join(_row("td", row, kinds, of="own" if row[0] == own else "") for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def plot(name: str, says: str, draw: Callable[[Axes], Axes], *, size: tuple[float, float] = SIZE) -> str:
    """Draw on axes of a size in inches, and return the picture; one wider than `SIZE` is broad."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    return picture(name, figure, says=says, broad=size[0] > SIZE[0])


def picture(name: str, figure: Figure, *, says: str = "", broad: bool = False) -> str:
    """Return a figure as SVG whose colours follow the page's and whose text is text.

    Parameters
    ----------
    name
        Of the figure: a page has it once.
    says
        What a reader hears who cannot see it.
    broad
        It takes the width of the page, and scrolls inside its box where that is too narrow.
    """
    svg = _svg(name, figure)
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0]
    drawn = svg.split("</defs>", 1)[1]
    drawn = _STYLED.sub(lambda style: _COLOUR.sub(lambda one: _VARIABLES[one[0].lower()], style[0]), drawn)
    drawn = _FONT.sub("", re.sub(r'<g id="[^"]*"', "<g", drawn))
    opening = f'<svg viewBox="{box}" role="img" aria-label="{escape(says or name)}">'
    kind = 'class="plot broad" tabindex="0"' if broad else 'class="plot"'
    return f"<div {kind}>{opening}{drawn.strip()}</div>"


def _row(tag: str, texts: Sequence[str], kinds: Sequence[str], *, of: str = "") -> str:
    cells = (f"<{tag}{_class(kind)}>{escape(text)}</{tag}>" for text, kind in zip(texts, kinds, strict=True))
    return f"<tr{_class(of)}>{''.join(cells)}</tr>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _svg(name: str, figure: Figure) -> str:
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # The reader's machine brings the letters, whatever fonts this one has.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(drawn, format="svg", metadata=nothing, transparent=True)
    return drawn.getvalue()
