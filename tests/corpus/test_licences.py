from __future__ import annotations

import pytest

from rtsep.corpus.licences import CopyrightFile, Verdict, granted, refusal, tag_refusal
from rtsep.corpus.package_table import PACKAGES, Package
from tests.corpus.debs import DEP5, PROSE, PROSE_AUDIT, music_package


def paragraph(files: str, author: str, licence: str) -> str:
    return f"\nFiles: {files}\nCopyright: {author}\nLicense: {licence}\n"


def judge(text: str, path: str, package: Package | None = None) -> Verdict:
    return CopyrightFile(package or music_package(), text).verdict(path)


@pytest.mark.parametrize(
    "expression",
    [
        "GPL-2+", "GPL-3", "GPL", "GPL-2-only", "LGPL-2.1+", "CC-BY-3.0", "CC-BY-SA-3.0-us", "CC-BY-SA-4.0", "CC0",
        "CC0-1.0", "public-domain", "PD", "Expat", "MIT", "BSD-3-clause", "BSD-like", "Apache-2.0",
        "GPL-2+ with composition exception", "GPL-2+ and CC-BY-3.0", "Expat, and MIT", "GPL-2 or MIT, and BSD-like",
    ],
)  # fmt: skip
def test_free_licences_are_granted(expression: str) -> None:
    assert granted(expression) == expression


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("CC-BY-NC-3.0", "no commercial use"),
        ("CC-BY-NC-SA-4.0", "no commercial use"),
        ("CC-BY-ND-3.0", "no derivatives"),
        ("CC-BY-3.0-nc", "no commercial use"),
        ("GPL-2 or MIT, and CC-BY-NC-3.0", "no commercial use"),
        ("GPL-2+ and CC-BY-NC-3.0", "no commercial use"),
        ("Proprietary", "not in our table"),
        ("MIT-like but not quite", "not in our table"),
        ("", "not in our table"),
    ],
)
def test_others_are_refused_with_the_reason(expression: str, words: str) -> None:
    assert not granted(expression)
    assert words in refusal(expression)


def test_of_alternatives_only_the_free_ones_are_granted() -> None:
    assert granted("CC-BY-NC-3.0 or GPL-2+") == "GPL-2+"
    assert granted("GPL-3 or CC-BY-3.0") == "GPL-3 or CC-BY-3.0"


def test_the_last_paragraph_that_matches_counts() -> None:
    text = DEP5 + paragraph("*", "all", "GPL-2+") + paragraph("music/*", "Mo", "CC-BY-3.0")
    assert judge(text, "music/deep/in/a.ogg") == Verdict("CC-BY-3.0", "Mo")
    assert judge(text, "sound/a.ogg") == Verdict("GPL-2+", "all")
    turned = DEP5 + paragraph("music/*", "Mo", "CC-BY-3.0") + paragraph("*", "all", "GPL-2+")
    assert judge(turned, "music/a.ogg") == Verdict("GPL-2+", "all")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a?c.ogg", "a c.ogg", True),
        ("a?c.ogg", "ac.ogg", False),
        ("*.ogg", "deep/x.ogg", True),
        ("./music/x.ogg", "music/x.ogg", True),
        ("music/x.ogg music/y.ogg", "music/y.ogg", True),
        ("music/x", "music/x.ogg", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("music/[ab].ogg", "music/a.ogg", False),
    ],
)
def test_patterns_are_those_of_dep5(pattern: str, path: str, matches: bool) -> None:
    found = judge(DEP5 + paragraph(pattern, "Ada", "MIT"), path)
    assert found == (
        Verdict("MIT", "Ada") if matches else Verdict(refusal="its copyright file names no licence for it")
    )


def test_many_forms_of_a_paragraph() -> None:
    text = (
        DEP5 + "Comment: with a\n License: CC-BY-NC-3.0\n\n"
        "Files:\n a.ogg\n b.ogg\nCopyright:\n 2001, Ada\n           2002-2004 Bob,\n"
        "License: GPL-2+\n The text of it.\n .\n And more.\nLicense-Grant:\n said so\n\nLicense: GPL-2+\n Whole text.\n"
    )
    assert judge(text, "b.ogg") == Verdict("GPL-2+", "2001, Ada; 2002-2004 Bob")


def test_a_refused_licence_of_a_file_does_not_touch_the_others() -> None:
    text = DEP5 + paragraph("*", "Ada", "MIT") + paragraph("b.ogg", "Bob", "CC-BY-NC-4.0")
    assert judge(text, "a.ogg").licence == "MIT"
    assert "no commercial use" in judge(text, "b.ogg").refusal


def test_installed_paths_are_matched_by_their_names_in_the_source() -> None:
    package = music_package(source=(r"usr/share/kits/([^/]+)/.*", r"kits/\1.zip"))
    text = DEP5 + paragraph("kits/one.zip", "Ada", "MIT")
    assert judge(text, "usr/share/kits/one/kick.wav", package).licence == "MIT"
    assert judge(text, "usr/share/kits/two/kick.wav", package).refusal


def test_prose_is_believed_only_if_somebody_read_this_very_prose() -> None:
    package = music_package(audit=PROSE_AUDIT, credit="music: Mo")
    assert judge("So:\n  It may be\n  used by anyone.", "a.ogg", package) == Verdict("GPL-2+", "Grace Gamer; music: Mo")
    assert "nobody has read" in judge("It may be used by no one.", "a.ogg", package).refusal
    assert "nobody has read" in judge(PROSE, "a.ogg").refusal


@pytest.mark.parametrize(
    "text", ["", "\0\1\2", "Files: *\n", "Format: x\n\nFiles: *\nLicense: MIT\n", DEP5 + "\nFiles: a\\b\n"]
)
def test_broken_copyright_files_grant_nothing(text: str) -> None:
    assert judge(text, "a.ogg").refusal


@pytest.mark.parametrize(
    "text", ["http://creativecommons.org/licenses/by-nc-sa/3.0/", "Non-Commercial use only", "by-nd 4.0"]
)
def test_tags_that_forbid_are_heard(text: str) -> None:
    assert "its tag 'license'" in tag_refusal({"license": text})


@pytest.mark.parametrize("text", ["", "GPL", "http://creativecommons.org/licenses/by-sa/3.0/", "made by Nadine"])
def test_tags_that_allow_are_no_hindrance(text: str) -> None:
    assert not tag_refusal({"license": text, "copyright": text})


def test_our_table_is_sound() -> None:
    assert len({package.name for package in PACKAGES}) == len(PACKAGES)
    for package in PACKAGES:
        assert package.files
        assert package.audit is None or granted(package.audit.licence)
