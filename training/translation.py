"""What is kept in English, such as findings and the notes of a model, in the language of a report."""

import re
import tomllib
from functools import cache
from importlib.resources import files

from training.grade import TITLES

SENTENCES: list[dict[str, str]] = tomllib.loads(
    files("training").joinpath("translations.toml").read_text("utf-8")
)["sentences"]
PARTS = {
    **dict.fromkeys(("did", "measure", "rival", "what", "why"), None),
    "effects": re.compile("; "),
    "gains": re.compile(f", (?={'|'.join(TITLES.values())})"),
}
"""Places that hold a sentence themselves, or several with something between them."""
BETWEEN = {"en": "; ", "zh": "；"}  # noqa: RUF001 - Chinese
"""What stands between sentences."""


def translated(text: str, language: str) -> str:
    """Say an English text in another language; one that no sentence fits, such as a user's, stays."""
    if language == "en":
        return text
    for sentence, pattern in zip(SENTENCES, _patterns(), strict=True):
        if found := pattern.fullmatch(text):
            places = {name: _part(name, part, language) for name, part in found.groupdict().items()}
            return sentence[language].format(**places)
    return text


def _part(name: str, text: str, language: str) -> str:
    if name not in PARTS:
        return text
    separator = PARTS[name]
    parts = separator.split(text) if separator else [text]
    return BETWEEN[language].join(translated(part, language) for part in parts)


@cache
def _patterns() -> list[re.Pattern[str]]:
    return [re.compile(_pattern(sentence["en"]), re.DOTALL) for sentence in SENTENCES]


def _pattern(sentence: str) -> str:
    """Let each place take any text; what is around the places is every second part."""
    parts = re.split(r"\{(\w+)\}", sentence)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (f"(?P<{name}>.+)" for name in parts[1::2])
    return "".join(parts)
