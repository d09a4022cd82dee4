"""Where a company's own features come from: the ``[features]`` table of the configuration, and a notebook."""

import importlib.util
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from features.configuration import Configuration, Section
from features.errors import InputError
from features.own import Function, OwnFeature


class OwnSettings(Section):
    """The company's own features.

    Parameters
    ----------
    module
        A Python file, relative to the configuration, each of whose functions is a feature.
    sql
        By the name of a feature its SQL.
    """

    module: str | None = None
    sql: dict[str, str] = Field(default_factory=dict)


def read_own(configuration: Configuration, functions: Sequence[Function] = ()) -> tuple[OwnFeature, ...]:
    """Compile the company's own features: those of the module, of the SQL texts, and further functions.

    Raises
    ------
    InputError
        A feature is wrong, the module cannot be run, or two features have one name.
    """
    settings = configuration.section("features", OwnSettings)
    written = (*(_functions(configuration.folder / settings.module) if settings.module else ()), *functions)
    features = (
        *(OwnFeature.of_function(each) for each in written),
        *(OwnFeature.of_sql(name, text) for name, text in settings.sql.items()),
    )
    names = [each.name for each in features]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"two of your own features are named {twice!r}; rename one")
    return features


def _functions(file: Path) -> Iterator[Function]:
    """Run a module and return the functions that it defines; those with ``_`` in front are its own affair."""
    if not file.is_file():
        raise InputError(f"features.module: there is no file {file}; the path is relative to tierwise.toml")
    name = f"own_features_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"features.module: {file} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(f"features.module: {file} cannot be run: {type(error).__name__}: {said}") from error
    found = [
        each
        for key, each in vars(module).items()
        if inspect.isfunction(each) and each.__module__ == name and not key.startswith("_")
    ]
    if not found:
        raise InputError(f"features.module: {file} defines no function; each of its functions is a feature")
    yield from found
