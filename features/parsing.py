"""From what a source holds to the types inside, as DuckDB SQL: null where a value cannot be read.

Values that are typed already are converted directly; only text is parsed. Naive times are in the
time zone of the DuckDB session.
"""

from dataclasses import dataclass

from features.contract import SCALE, Kind

LIMIT = 90_000_000_000
"""No amount or quantity is larger, so that sums of ten-thousandths fit 64 bits."""

FIRST, LAST = "1900-01-01", "2200-01-01"
"""Times before the first and from the last on are mistakes or placeholders."""

YES = ("1", "1.0", "true", "t", "yes", "y")
NO = ("0", "0.0", "false", "f", "no", "n")
NOTHING = ("na", "n/a", "nan", "null", "none", "nil", "?", "-")
"""What people write among numbers where there is none."""

WHAT = {
    Kind.TIME: "a time between 1900 and 2200",
    Kind.MONEY: "a number of at most 90 billion",
    Kind.QUANTITY: "a number of at most 90 billion",
    Kind.NUMBER: "a finite number",
    Kind.FLAG: "yes or no",
    Kind.TEXT: "text",
}
"""What a value of each kind should have been."""


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Cell:
    """A column of a source, and how its text is written.

    Parameters
    ----------
    name
        The column in the source.
    type
        Its DuckDB type.
    decimal
        The decimal mark of numbers given as text.
    time_format
        Of times given as text; ISO 8601 when null.
    time_zone
        Of times without an offset; also the zone of the session, which reads those in text.
    """

    name: str
    type: str
    decimal: str = "."
    time_format: str | None = None
    time_zone: str = "UTC"

    @property
    def raw(self) -> str:
        """The value as it stands; blank text is null."""
        quoted = identifier(self.name)
        if self.family != "text":
            return quoted
        text = quoted if self.type == "VARCHAR" else f"CAST({quoted} AS VARCHAR)"
        # Most text has no blank at either end, and this test is half the price of trimming.
        bare = f"{text} >= '!' AND {text} NOT LIKE '% '"
        return f"CASE WHEN {bare} THEN {text} ELSE nullif(trim({text}), '') END"

    @property
    def given(self) -> str:
        """Whether there is a value."""
        return f"({self.raw} IS NOT NULL)"

    @property
    def family(self) -> str:
        """One of integer, float, decimal, flag, time and text."""
        for family, starts in FAMILIES.items():
            if self.type.startswith(starts) and not self.type.endswith("[]"):
                return family
        return "text"

    def may_fail(self, kind: Kind) -> bool:
        """Whether values can be unreadable as this kind."""
        return kind is not Kind.TEXT and (kind, self.family) not in {
            (Kind.NUMBER, "integer"),
            (Kind.NUMBER, "decimal"),
            (Kind.FLAG, "flag"),
        }

    def read_as(self, kind: Kind) -> str:
        """Write SQL for the value inside, null where it cannot be read."""
        readers = {
            Kind.TIME: self._time,
            Kind.MONEY: self._scaled,
            Kind.QUANTITY: self._scaled,
            Kind.NUMBER: self._number,
            Kind.FLAG: self._flag,
            Kind.TEXT: self._text,
        }
        return readers[kind]()

    def _text(self) -> str:
        if self.family == "float":  # a whole number that had nulls beside it: 13085.0 is 13085
            whole = f"{self.raw} = floor({self.raw}) AND abs({self.raw}) < 1e15"
            return (
                f"CASE WHEN isnan({self.raw}) THEN NULL WHEN {whole} THEN CAST(CAST({self.raw} AS BIGINT) "
                f"AS VARCHAR) ELSE CAST({self.raw} AS VARCHAR) END"
            )
        return self.raw if self.family == "text" else f"CAST({self.raw} AS VARCHAR)"

    def _time(self) -> str:
        if self.family == "time":
            value, bound = self.raw, "TIMESTAMP"
        else:
            text = self._text()
            bound = "TIMESTAMPTZ"
            value = (
                f"try_cast(try_strptime({text}, {literal(self.time_format)}) AS TIMESTAMPTZ)"
                if self.time_format
                else f"try_cast({text} AS TIMESTAMPTZ)"
            )
        if self.type.startswith("TIMESTAMP WITH"):
            bound = "TIMESTAMPTZ"
        first, last = f"{bound} '{FIRST}'", f"{bound} '{LAST}'"
        direct = self.time_zone == "UTC" and self.family == "time"  # a cast to a zoned time is dear
        inside = f"epoch_us(CAST({value} AS {'TIMESTAMP' if direct else 'TIMESTAMPTZ'}))"
        return f"CASE WHEN {value} >= {first} AND {value} < {last} THEN {inside} END"

    def _scaled(self) -> str:
        exact = "CAST(CAST({} AS DECIMAL(23, 4)) * {} AS BIGINT)"
        number, scaled = {
            "integer": (self.raw, "CAST({} AS BIGINT) * {}"),
            "float": (self.raw, "CAST(round(CAST({} AS DOUBLE) * {}) AS BIGINT)"),
            "decimal": (f"try_cast({self.raw} AS DECIMAL(18, 4))", exact),
            "text": (f"try_cast({self._plain_number()} AS DECIMAL(18, 4))", exact),
        }.get(self.family, ("NULL", "CAST({} AS BIGINT) * {}"))
        return f"CASE WHEN {number} BETWEEN -{LIMIT} AND {LIMIT} THEN {scaled.format(number, SCALE)} END"

    def _number(self) -> str:
        if self.family == "text":
            number = f"try_cast({self._plain_number()} AS DOUBLE)"
        elif self.family in {"integer", "decimal", "float", "flag"}:
            number = f"CAST({self.raw} AS DOUBLE)"
        else:
            return "CAST(NULL AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"

    def _plain_number(self) -> str:
        """Write the text of a number without thousands marks, with a decimal point, or else null."""
        mark, thousands = (r"\.", ",") if self.decimal == "." else (",", r"\.")
        grouped = literal(rf"[-+]?\d{{1,3}}({thousands}\d{{3}})+({mark}\d*)?")
        separator = literal(thousands[-1])
        bare = f"replace({self.raw}, {separator}, '')"
        pointed = bare if self.decimal == "." else f"replace({bare}, ',', '.')"
        simple = self.raw if self.decimal == "." else f"replace({self.raw}, ',', '.')"
        return (
            f"CASE WHEN contains({self.raw}, '_') THEN NULL "
            f"WHEN NOT contains({self.raw}, {separator}) THEN {simple} "
            f"WHEN regexp_full_match({self.raw}, {grouped}) THEN {pointed} END"
        )

    def _flag(self) -> str:
        if self.family == "flag":
            return f"CAST({self.raw} AS BIGINT)"
        word = f"lower({self._text()})"
        yes, no = (", ".join(map(literal, words)) for words in (YES, NO))
        return f"CASE WHEN {word} IN ({yes}) THEN 1::BIGINT WHEN {word} IN ({no}) THEN 0::BIGINT END"


FAMILIES: dict[str, tuple[str, ...]] = {
    "integer": (
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
    ),
    "float": ("FLOAT", "DOUBLE"),
    "decimal": ("DECIMAL",),
    "flag": ("BOOLEAN",),
    "time": ("TIMESTAMP", "DATE"),
}


def local_day(column: str, time_zone: str) -> str:
    """Write SQL for the calendar day of a time in a zone, in days since 1970-01-01."""
    local = (
        f"make_timestamp({column})"
        if time_zone == "UTC"
        else f"timezone({literal(time_zone)}, make_timestamptz({column}))"
    )
    return f"(CAST({local} AS DATE) - DATE '1970-01-01')"
