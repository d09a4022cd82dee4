"""What the columns of a file of order lines may mean: guessed from their names and from a sample."""

import difflib
import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

import duckdb

from features.contract import ORDERS, Kind, slug
from features.errors import InputError
from features.parsing import Cell, literal
from features.scans import TEXT_FILES, unreadable

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 2_000

READABLE = 0.95
"""A column can be of a kind if so much of its sample reads as that kind."""

SURE, POSSIBLE = 0.9, 0.75
"""How alike a name and a synonym must be to be taken, and to be taken with a question mark."""

SYNONYMS = {
    "customer_id": "customer cust client client_id cust_id user user_id buyer buyer_id member member_id "
    "account account_id account_number customer_number customer_no customer_code shopper_id "
    "客户编号 客户号 客户id 用户id 用户编号 会员号 会员编号 顾客编号",
    "ordered_at": "invoice_date order_date order_time date day datetime timestamp time created created_at "
    "purchase_date purchased_at transaction_date sale_date sold_at 下单时间 下单日期 订单时间 订单日期 "
    "购买时间 购买日期 交易时间 成交时间 日期",
    "amount": "total net_amount net_total revenue net_revenue sales turnover line_total line_amount "
    "total_price total_amount order_value spend spent usd gbp eur cny 金额 总金额 订单金额 实付金额 销售额",
    "quantity": "qty units pieces items cds quantity_ordered 数量 件数 购买数量",
    "unit_price": "price item_price price_each price_per_unit net_price 单价 价格",
    "order_id": "invoice invoice_no invoice_number invoice_id order order_no order_number order_reference "
    "transaction transaction_id receipt receipt_id basket_id 订单号 订单编号 交易号 单号",
    "product_id": "stock_code sku product product_code product_number item item_id item_code article "
    "article_id article_number asin 商品编号 商品id 产品编号 货号",
    "category": "product_category item_category department product_group 类别 品类 商品类别",
    "channel": "sales_channel order_channel 渠道 销售渠道",
    "discount": "discount_amount rebate 折扣 优惠金额",
    "cost": "cost_price cost_of_goods cogs 成本",
    "payment_method": "payment payment_type paid_by 支付方式 付款方式",
    "is_return": "return returned is_refund refund 是否退货",
    "ingested_at": "loaded_at imported_at ingestion_time load_time 入库时间",
}
"""How sources often call the columns of orders."""

TIME_FORMATS = tuple(
    f"{day}{time}"
    for day in (
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
        "%Y%m%d",
        "%Y年%m月%d日",
        "%d %b %Y",
    )
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", "%H%M%S")
)


@dataclass(frozen=True)
class Guess:
    """A column of the source for a canonical one; it is `sure` or wants a look."""

    column: str
    sure: bool


@dataclass(frozen=True)
class Guesses:
    """How order lines may be read.

    Parameters
    ----------
    columns
        By canonical column.
    encoding
        Of text files; null for Parquet.
    time_formats
        Those that read all times of the sample; none when they are ISO 8601 or typed.
    decimal
        The decimal mark.
    """

    columns: dict[str, Guess]
    encoding: str | None
    time_formats: tuple[str, ...]
    decimal: str


def guess(files: Sequence[Path]) -> Guesses:
    """Guess how files of order lines are to be read, from the beginning of the first.

    Raises
    ------
    InputError
        A file cannot be read, is neither text nor Parquet, has no header, or another one than the first.
    """
    with _sample(files[0]) as sample:
        for file in files[1:]:
            with _sample(file) as other:
                if set(other.types) != set(sample.types):
                    raise InputError(
                        f"{file} has other columns than {files[0]}; name files of order lines only, and "
                        "write other sources into tierwise.toml by hand"
                    )
        decimal = sample.decimal()
        columns = _columns(sample, decimal)
        formats = sample.time_formats(columns["ordered_at"].column) if "ordered_at" in columns else ()
        return Guesses(columns, sample.encoding, formats, decimal)


@dataclass(frozen=True)
class _Sample:
    """The first rows of a file, in the table ``sample``."""

    connection: duckdb.DuckDBPyConnection
    types: dict[str, str]
    encoding: str | None

    def readable(
        self, column: str, kind: Kind, *, decimal: str = ".", time_format: str | None = None
    ) -> float:
        """Return the share of a column's values that read as a kind, by the rules of the real reading."""
        cell = Cell(column, self.types[column], decimal, time_format)
        given, read = self.connection.execute(
            f"SELECT count(*), count({cell.read_as(kind)}) FROM sample WHERE {cell.given}"
        ).fetchall()[0]
        return read / given if given else 0.0

    def may_be(self, column: str, kind: Kind, decimal: str) -> bool:
        """Whether a column's values can be of a kind; numbers may be refused as times, and the reverse."""
        if kind is Kind.TIME:
            return self._reads_as_time(column)
        return kind is Kind.TEXT or self.readable(column, kind, decimal=decimal) >= READABLE

    def _reads_as_time(self, column: str) -> bool:
        return self.readable(column, Kind.TIME) >= READABLE or bool(self.time_formats(column))

    def time_formats(self, column: str) -> tuple[str, ...]:
        """Return the formats that a column's times may have; none where they need none."""
        if self.readable(column, Kind.TIME) >= READABLE:
            return ()
        return tuple(
            form for form in TIME_FORMATS if self.readable(column, Kind.TIME, time_format=form) >= READABLE
        )

    def decimal(self) -> str:
        """Return the decimal mark with which more columns are numbers."""

        def numbers(mark: str) -> int:
            return sum(self.readable(column, Kind.MONEY, decimal=mark) >= READABLE for column in self.types)

        return "," if numbers(",") > numbers(".") else "."


@contextmanager
def _sample(file: Path) -> Iterator[_Sample]:
    suffix = Path(file.name.removesuffix(".gz")).suffix.lower()
    if suffix not in {*TEXT_FILES, ".parquet"}:
        raise InputError(f"{file} is neither text (.csv, .tsv, .txt) nor .parquet; name files of order lines")
    with TemporaryDirectory() as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        encoding, shown = None, file
        try:
            if suffix == ".parquet":
                relation = f"read_parquet({literal(str(file))})"
            else:
                encoding, text = _text(file)
                shown = Path(scratch) / "sample.csv"
                shown.write_text(text, "utf-8", newline="")
                relation = f"read_csv({literal(str(shown))}, all_varchar = true, header = true)"
            connection.execute(f"CREATE TABLE sample AS FROM {relation} LIMIT {SAMPLE_ROWS}")
            described = connection.execute("DESCRIBE sample").fetchall()
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}; correct its name") from None
        except duckdb.Error as error:
            raise unreadable(ORDERS, [file], error) from None
        types = {name: kind for name, kind, *_ in described}
        _assert_header(file, types)
        yield _Sample(connection, types, encoding)


def _assert_header(file: Path, names: dict[str, str]) -> None:
    for name in names:
        if re.fullmatch(r"[\s\d.,:/+-]+", name):
            raise InputError(
                f"{file} seems to have no header, since its first line holds {name.strip()!r}; add a line "
                "with the names of the columns, or name them in a query (sources.orders.query)"
            )


def _text(file: Path) -> tuple[str, str]:
    """Return the encoding of a text file, and its first lines."""
    with cast("IO[bytes]", gzip.open(file)) if file.suffix == ".gz" else file.open("rb") as raw:
        content = raw.read(SAMPLE_BYTES)
    if len(content) == SAMPLE_BYTES and b"\n" in content:
        content = content[: content.rindex(b"\n") + 1]
    encodings: dict[str, Callable[[str], bool]] = {
        "utf-8-sig": lambda _: True,
        "utf-16": lambda _: content[:2] in {b"\xff\xfe", b"\xfe\xff"},
        "gb18030": _is_common_chinese,
        "cp1252": lambda _: True,
        "latin-1": lambda _: True,
    }
    for encoding, is_likely in encodings.items():
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if is_likely(text):
            return encoding.removesuffix("-sig"), text
    raise AssertionError("Latin-1 reads all bytes")


def _is_common_chinese(text: str) -> bool:
    """Whether the letters beyond ASCII are Chinese ones in use, not chance pairs of accented letters."""
    beyond = [letter for letter in text if not letter.isascii()]
    return sum(bool(letter.encode("gb2312", "ignore")) for letter in beyond) >= 0.9 * len(beyond)


def _columns(sample: _Sample, decimal: str) -> dict[str, Guess]:
    """Give each canonical column the one that is most like it, the best pairs first."""
    pairs = sorted(
        (
            (-_likeness(column, canonical), position, canonical, column)
            for position, canonical in enumerate(ORDERS.columns)
            for column in sample.types
        ),
    )
    found: dict[str, Guess] = {}
    taken: set[str] = set()
    for less, _, canonical, column in pairs:
        if -less < POSSIBLE or canonical in found or column in taken:
            continue
        if sample.may_be(column, ORDERS.columns[canonical], decimal):
            found[canonical] = Guess(column, -less >= SURE)
            taken.add(column)
    _fill_required(sample, decimal, found, taken)
    return {canonical: found[canonical] for canonical in ORDERS.columns if canonical in found}


def _fill_required(sample: _Sample, decimal: str, found: dict[str, Guess], taken: set[str]) -> None:
    """Guess by the values alone what no name told."""
    left = [column for column in sample.types if column not in taken]
    if "ordered_at" not in found:
        times = [column for column in left if sample.may_be(column, Kind.TIME, decimal)]
        if times:
            found["ordered_at"] = Guess(times[0], sure=False)
            left.remove(times[0])
    if "amount" in found or {"quantity", "unit_price"} <= found.keys():
        return
    if "unit_price" in found:  # without a quantity, a price is what was paid
        found["amount"] = Guess(found.pop("unit_price").column, sure=False)
        return
    numbers = [column for column in left if sample.may_be(column, Kind.MONEY, decimal)]
    if numbers:
        found["amount"] = Guess(numbers[-1], sure=False)


def _likeness(column: str, canonical: str) -> float:
    words = slug(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column))
    if words == canonical:
        return 1.0
    known = (canonical, *SYNONYMS[canonical].split())
    return 0.99 * max(
        difflib.SequenceMatcher(None, words.replace("_", ""), each.replace("_", "")).ratio() for each in known
    )
