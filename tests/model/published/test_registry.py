"""The table of published models: names, URLs through mirrors, hashes, licences."""

from __future__ import annotations

import pytest

from rtsep.errors import ModelError
from rtsep.model.published.registry import names, published, store_name
from rtsep.model.store import PLAIN_NAME

VARIABLES = ("GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE", "OPENUNMIX_HOST")


@pytest.fixture(autouse=True)
def no_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def refused(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        published(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_names_are_those_of_the_originals() -> None:
    assert {f"spleeter:{n}stems{band}" for n in (2, 4, 5) for band in ("", "-16kHz")} < set(names())
    assert {f"openunmix:{name}" for name in ("umxhq", "umx", "umxl", "umxse")} < set(names())


@pytest.mark.parametrize("name", names())
def test_every_entry_can_be_checked(name: str) -> None:
    entry = published(name)
    assert entry.name == name
    assert entry.family == name.partition(":")[0]
    assert PLAIN_NAME.fullmatch(store_name(name))
    assert entry.licence
    assert entry.files
    for file in entry.files:
        assert PLAIN_NAME.fullmatch(file.name)
        assert file.url.startswith("https://") and file.url.endswith("/" + file.name)
        assert len(bytes.fromhex(file.sha256)) in (4, 32)
        assert file.about_bytes < file.max_bytes < 500_000_000


def test_spleeter_lies_in_its_release() -> None:
    (file,) = published("spleeter:2stems").files
    assert file.url == "https://github.com/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz"
    assert file.sha256.startswith("f3a90b39dd28")


def test_the_wide_variant_uses_the_same_archive() -> None:
    wide, plain = published("spleeter:5stems-16kHz"), published("spleeter:5stems")
    assert wide.files == plain.files
    assert wide.weights == plain.weights == "5stems"
    assert store_name(wide.name) == "spleeter-5stems-16kHz" != store_name(plain.name)


def test_open_unmix_lies_at_zenodo_and_its_names_carry_the_hash() -> None:
    files = {file.name: file for file in published("openunmix:umxhq").files}
    assert sorted(files) == [
        "bass-8d85a5bd.pth",
        "drums-9619578f.pth",
        "other-b52fbbf7.pth",
        "vocals-b62c91ce.pth",
    ]
    assert files["vocals-b62c91ce.pth"].url == "https://zenodo.org/records/3370489/files/vocals-b62c91ce.pth"
    assert files["vocals-b62c91ce.pth"].sha256 == "b62c91ce"
    speech, noise = published("openunmix:umxse").files
    assert (speech.name, speech.sha256) == ("speech_f5e0d9f9.pth", "f5e0d9f9")
    assert (noise.name, noise.sha256) == ("noise_04a6fc2d.pth", "04a6fc2d")


def test_only_some_licences_must_be_asked_for() -> None:
    assert [name for name in names() if published(name).needs_consent] == ["openunmix:umxl", "openunmix:umxse"]
    assert "CC BY-NC-SA 4.0" in published("openunmix:umxl").licence
    assert "MIT" in published("spleeter:4stems").licence


def test_mirrors_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in zip(
        VARIABLES, ("https://git.example/", "me/copy", "v9", "http://zen.example:8080"), strict=True
    ):
        monkeypatch.setenv(variable, value)
    assert published("spleeter:4stems").files[0].url == "https://git.example/me/copy/releases/download/v9/4stems.tar.gz"
    umx = published("openunmix:umx")
    assert umx.files[0].url == "http://zen.example:8080/records/3370486/files/bass-646024d3.pth"


def test_an_unknown_name_lists_the_known() -> None:
    message = refused("spleeter:3stems")
    assert "'spleeter:3stems'" in message
    assert all(name in message for name in names())


def test_what_has_no_published_hash_says_so_and_gives_the_cure() -> None:
    message = refused("spleeter:4stems-finetune")
    assert "no hash is published" in message
    assert "https://github.com/deezer/spleeter/releases/download/v1.4.0/4stems-finetune.tar.gz" in message
    assert "rtsep import spleeter PATH" in message
