"""The configuration: one TOML file, with overrides from the environment and the command line."""

import difflib
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from features.errors import InputError
from features.overrides import Keys, from_environment, from_option, set_value

TABLES = ("project", "sources", "features", "forecast", "tiers", "treatments", "plan", "serving")
"""The tables that a configuration may hold; each is read by the module that uses it."""

LONGEST = 200  # letters of what an error repeats
MANY = 20  # known names that it lists at most


class Section(BaseModel):
    """Settings of one table: strict types, no unknown keys, never changed after reading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


class Project(Section):
    """What holds for the whole shop.

    Parameters
    ----------
    name
        How the shop is called in reports and models.
    currency
        Three letters (ISO 4217); every amount is in it.
    setting
        What leaving means: no order, the end of a contract, or a known outcome.
    workspace
        Where registry, store, runs and reports lie; absolute once read from a file.
    time_zone
        IANA name of the zone whose calendar days make customer-days.
    """

    name: str = Field(default="shop", min_length=1)
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    setting: Literal["transactional", "contractual", "labelled"] = "transactional"
    workspace: Path = Path(".tierwise")
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)


def known_zone(name: str) -> str:
    """Return the name of an IANA time zone; ValueError when there is no such zone."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a time zone: give an IANA name such as 'Europe/London'") from None


@dataclass(frozen=True)
class Configuration:
    """Every table of one configuration file, after its overrides.

    Parameters
    ----------
    file
        The file that was read (absolute).
    tables
        The tables as read, overrides applied.
    texts
        The overrides as written, by key, for settings that are text though they look like a number.
    """

    file: Path
    tables: dict[str, Any]
    texts: dict[Keys, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, path: str | Path, overrides: Iterable[str] = (), environ: Mapping[str, str] = os.environ
    ) -> "Configuration":
        """Read a TOML file; the environment changes it, and ``--set`` overrides change both.

        Parameters
        ----------
        path
            The TOML file, UTF-8 with or without a byte order mark.
        overrides
            ``key.key=value`` each; a value is TOML, or else plain text.
        environ
            ``TIERWISE_FORECAST__HORIZON_DAYS=180`` sets ``forecast.horizon_days``, whatever the case.

        Raises
        ------
        InputError
            No such file, not TOML (with the line), an unknown table, or a malformed override.
        """
        file = Path(path).absolute()
        tables = _parse(file)
        texts: dict[Keys, str] = {}
        for place, keys, text in (*from_environment(environ, tables), *map(from_option, overrides)):
            set_value(tables, keys, text, place)
            texts[keys] = text
        for name in tables:
            if name not in TABLES:
                raise InputError(f"{file}: there is no table [{name}]; {nearest(name, TABLES)}")
        return cls(file, tables, texts)

    @property
    def folder(self) -> Path:
        """The folder of the file: relative paths start here."""
        return self.file.parent

    @property
    def project(self) -> Project:
        """The ``[project]`` table, with an absolute workspace."""
        project = self.section("project", Project)
        return project.model_copy(update={"workspace": (self.folder / project.workspace).resolve()})

    def section(self, name: str, model: type[Model]) -> Model:
        """Validate a table, or a table within one (``sources.orders``); a missing one is all defaults.

        Raises
        ------
        InputError
            Names the key, its value, and the nearest known key for an unknown one.
        """
        keys = tuple(name.split("."))
        table: Any = self.tables
        for key in keys:
            table = table.get(key, {})
        try:
            return _validated(model, table)
        except ValidationError as error:
            retyped = self._as_written(keys, table, error)
        try:
            return _validated(model, retyped)
        except ValidationError as error:
            raise InputError(f"{self.file}: {_sentence(name, model, error)}") from None

    def entries(self, name: str, model: type[Model]) -> tuple[Model, ...] | None:
        """Validate a list of tables, each with a name (``[[treatments]]``); null where there is none.

        Raises
        ------
        InputError
            Names the entry, the key, its value, and the nearest known key for an unknown one.
        """
        tables = self.tables.get(name)
        if tables is None:
            return None
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise InputError(f"{self.file}: {name} is a list of tables; head each by [[{name}]]")
        return tuple(self._entry(name, number, model) for number in range(len(tables)))

    def _entry(self, name: str, number: int, model: type[Model]) -> Model:
        table = self.tables[name][number]
        try:
            return _validated(model, table)
        except ValidationError as error:
            place = f"{name}.{str(table.get('name', number))[:LONGEST]}"
            raise InputError(f"{self.file}: {_sentence(place, model, error)}") from None

    def _as_written(self, keys: Keys, table: Any, error: ValidationError) -> Any:  # noqa: ANN401
        """Give overridden settings that should be text as they were written: ``--set project.name=7``."""
        copy = json.loads(_as_json(table))
        for detail in error.errors():
            place = tuple(str(part) for part in detail["loc"])
            if detail["type"] == "string_type" and keys + place in self.texts:
                target = copy
                for key in place[:-1]:
                    target = target[key]
                target[place[-1]] = self.texts[keys + place]
        return copy


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"there is no configuration file {file}; name one with -c") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is not TOML: {error}") from None


def _validated(model: type[Model], table: Any) -> Model:  # noqa: ANN401
    return model.model_validate_json(_as_json(table), strict=True, extra="forbid")


def _as_json(table: Any) -> str:  # noqa: ANN401
    def iso(value: object) -> str:
        assert isinstance(value, date | datetime | time)  # noqa: S101 -- TOML has no other types
        return value.isoformat()

    return json.dumps(table, default=iso)


def _sentence(name: str, model: type[BaseModel], error: ValidationError) -> str:
    """Tell one thing that is wrong: an unknown key before a missing one, which it may have meant."""
    detail = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join((name, *map(str, detail["loc"])))
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        return f"there is no key {key}; {nearest(unknown, _fields(model, detail['loc'][:-1]))}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] in {"tuple_type", "list_type"}:
        return f"{key} is a list; {_list_form(name, model, detail['loc'], detail['input'])}"
    message = re.sub(r"^(Value error, |Input )", "", detail["msg"])
    value = "" if isinstance(detail["input"], dict) else f" = {repr(detail['input'])[:LONGEST]}"
    return f"{key}{value} {message}"


def _list_form(name: str, model: type[BaseModel], place: tuple[str | int, ...], given: object) -> str:
    """Say how a list is written: of tables by their heads, else in brackets."""
    key = str(place[-1])
    field = _fields(model, place[:-1]).get(key)
    if field is not None and any(_models_in(field.annotation)):
        return f"head each of its tables by [[{'.'.join((name, *map(str, place)))}]]"
    value = "..." if isinstance(given, dict) else json.dumps(given, ensure_ascii=False)[:LONGEST]
    return f"write it in brackets: {key} = [{value}]"


def _fields(model: Any, place: Iterable[str | int]) -> dict[str, FieldInfo]:  # noqa: ANN401
    for part in place:
        fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        annotation = fields[str(part)].annotation if str(part) in fields else model
        model = next(_models_in(annotation), model)
    return dict(getattr(model, "model_fields", {}))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and not get_origin(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    if get_origin(annotation) in {typing.Union, types.UnionType, list, tuple, dict}:
        for inner in get_args(annotation):
            yield from _models_in(inner)


def nearest(unknown: str, known: Iterable[str]) -> str:
    """Say which known name an unknown one may have meant; when none is near all, or how many there are."""
    names = sorted(known)
    close = difflib.get_close_matches(unknown.lower(), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return f"known are {', '.join(names[:MANY])}{more}"
