"""Which files of a package may be used: its copyright file, read, and our table of licences.

The machine-readable form is Debian's DEP-5, https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from debian.copyright import Copyright, FilesParagraph, MachineReadableFormatError, NotMachineReadableError
from debian.deb822 import Deb822

from rtsep.corpus.package_table import Package

# what a licence may be called, in lower case; all else is refused
ALLOWED = (
    r"cc0(-1(\.0)?)?",
    r"public[- ]?domain|pd",
    r"cc-by(-sa)?-\d(\.\d)?(-(?!n[cd])[a-z]{2})?",
    r"l?gpl(-[123](\.\d)?)?(\+|-only|-or-later)?",
    r"expat|mit|isc|zlib|apache-2(\.0)?|bsd(-[234]-clause|-like)?",
)
RESTRICTED = {"nc": "no commercial use", "nd": "no derivatives"}
IN_TAGS = re.compile(r"\bby-n[cd]\b|non-?commercial|no-?deriv", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What may be said of a file: its licence and author, or the reason why it is refused."""

    licence: str = ""
    author: str = ""
    refusal: str = ""


def granted(expression: str) -> str:
    """Give the part of a licence expression ("GPL-3 or CC-BY-NC-3.0") that our table allows; "" if none.

    "and" binds before "or", but a comma before it turns that round, as DEP-5 says.

    Args:
        expression: as a copyright file has it.
    """
    parts = [
        " or ".join(choice for choice in _choices(part) if all(map(_is_allowed, _terms(choice))))
        for part in re.split(r",\s+and\s+", expression)
    ]
    return ", and ".join(parts) if all(parts) else ""


def refusal(expression: str) -> str:
    """Say why a licence expression is refused."""
    for term in re.split(r"[^a-z]+", expression.lower()):
        if term in RESTRICTED:
            return f"licence {expression!r} allows {RESTRICTED[term]}"
    return f"licence {expression!r} is not in our table"


def tag_refusal(tags: dict[str, str]) -> str:
    """Say why a sound's own tags speak against it, whatever the package says; "" if they do not."""
    for name in ("license", "copyright", "comment"):
        if found := IN_TAGS.search(tags.get(name, "")):
            return f"its tag {name!r} says {found.group()!r}"
    return ""


class CopyrightFile:
    """A package's usr/share/doc/<package>/copyright.

    Args:
        package: what we know of it.
        text: all of the file.
    """

    def __init__(self, package: Package, text: str) -> None:
        self._package = package
        self._words = " ".join(text.split())
        self._paragraphs: list[tuple[FilesParagraph, Deb822]] | None = None
        logging.getLogger("debian.copyright").setLevel(logging.ERROR)  # small faults of form are no news here
        try:
            document = Copyright(text.splitlines(keepends=True), strict=False)
            if document.header.known_format():
                paragraphs = document.all_files_paragraphs()
                self._paragraphs = [(paragraph, Deb822(paragraph.dump())) for paragraph in paragraphs]
        except (NotMachineReadableError, MachineReadableFormatError, ValueError):
            pass  # plain prose, as many are

    def verdict(self, path: str) -> Verdict:
        """Judge an installed file, by its path without the leading slash."""
        found = self._by_audit() if self._paragraphs is None else self._by_pattern(self._paragraphs, path)
        if found.refusal or not self._package.credit:
            return found
        return Verdict(found.licence, f"{found.author}; {self._package.credit}")

    def _by_audit(self) -> Verdict:
        audit = self._package.audit
        if audit is None or audit.words not in self._words:
            return Verdict(refusal="its copyright file is prose that nobody has read for us")
        return _judged(audit.licence, audit.author)

    def _by_pattern(self, paragraphs: list[tuple[FilesParagraph, Deb822]], path: str) -> Verdict:
        """The last paragraph whose pattern matches counts."""
        pattern, name = self._package.source
        source = re.sub(f"^{pattern}", name, path) if pattern else path
        found = Verdict(refusal="its copyright file names no licence for it")
        for paragraph, fields in paragraphs:
            try:
                matches = paragraph.matches(source) or paragraph.matches(f"./{source}")
            except ValueError:  # a broken pattern matches nothing
                continue
            if matches:
                licence = str(fields.get("License", "")).strip().partition("\n")[0]
                found = _judged(licence, _one_line(str(fields.get("Copyright", ""))))
        return found


def _judged(expression: str, author: str) -> Verdict:
    licence = granted(expression)
    return Verdict(licence, author) if licence else Verdict(refusal=refusal(expression))


def _choices(expression: str) -> list[str]:
    return [part.strip(" ,") for part in re.split(r"\s+or\s+", expression) if part.strip(" ,")]


def _terms(choice: str) -> list[str]:
    return [part.strip() for part in re.split(r"\s+and\s+|,", choice) if part.strip()]


def _is_allowed(term: str) -> bool:
    name = re.sub(r"\s+with\s+.*exception.*|-with-.*-exception$", "", term.lower())  # an exception only gives more
    return any(re.fullmatch(allowed, name) for allowed in ALLOWED)


def _one_line(text: str) -> str:
    return "; ".join(line.strip(" ,") for line in text.splitlines() if line.strip(" ,"))
