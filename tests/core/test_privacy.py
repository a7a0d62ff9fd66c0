"""What a user shows to others tells nothing of who that is."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from rtsep.core.privacy import Identity, anonymous, identity

ANNA = Identity(
    ("/srv/homes/anna", "/home/anna"), ("annika-b", "Berg", "anna", "jo"), ("annas-laptop.lan", "annas-laptop")
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/anna/music/song.wav is empty", "~/music/song.wav is empty"),
        ("/srv/homes/anna: full", "~: full"),
        ("/home/annabel/x", "/home/<user>/x"),  # another's home is another's
        ("/media/anna/disk and /run/user/1000/pulse", "/media/<user>/disk and /run/user/<user>/pulse"),
        (r"C:\Users\Other One\x", r"C:\Users\<user> One\x"),
        ("Anna's AirPods, ANNA BERG", "<user>'s AirPods, <user> <user>"),
        ("annas-laptop.lan says no", "<host> says no"),
        ("jo, Jos Headset, job, banjo", "<user>, <user>s Headset, job, banjo"),  # a short name is a whole word
        ("bluez_output.0C_E0_E4_86_0B_06.1", "bluez_output.<address>.1"),
        ("write to anna@berg.example.org", "write to <mail>"),
        ("USB Audio: 44100 Hz", "USB Audio: 44100 Hz"),
    ],
)
def test_a_text(text: str, shown: str) -> None:
    assert anonymous(text, ANNA) == shown


def test_a_host_is_hidden() -> None:
    whose = Identity((), (), ("studio7.lan", "studio7"))
    assert anonymous("studio7.lan, STUDIO7: jackd", whose) == "<host>, <host>: jackd"


def test_who_runs_this(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "lisbeth"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    monkeypatch.setenv("SUDO_USER", "kim")
    monkeypatch.setattr(platform, "node", lambda: "desk.kitchen.lan")
    found = identity()
    assert {str(home), str(tmp_path / "link")} <= set(found.homes)
    assert "kim" in found.users and found.hosts[0] == "desk.kitchen.lan"
    assert anonymous(f"{home}/a {tmp_path}/link/b kim desk") == "~/a ~/b <user> <host>"


@pytest.mark.parametrize("name", ["root", "user", "1000"])
def test_names_that_are_nobodys_stay_readable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("USER", name)
    assert name not in identity().users


def test_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "USER", "LOGNAME", "SUDO_USER", "USERNAME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert identity().homes == () and isinstance(anonymous("text"), str)
