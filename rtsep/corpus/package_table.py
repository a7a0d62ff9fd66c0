"""The table of Debian packages that the corpus is made from, and what we know of each."""

from __future__ import annotations

from dataclasses import dataclass

MUSIC, GUITAR, SPEECH, KIT, BANK, DRUM_BANK, VOICE = "music", "guitar", "speech", "kit", "bank", "drum bank", "voice"


@dataclass(frozen=True)
class Audit:
    """What a person read in a copyright file that no machine can: it must still hold these words."""

    licence: str
    author: str
    words: str


@dataclass(frozen=True)
class Package:
    """One Debian package.

    Globs are of the installed paths, without the leading slash; "*" also matches "/", and what is packed in a .pk3
    lies below its path.
    """

    name: str
    kind: str  # what its sound is good for
    files: tuple[str, ...]  # globs
    # a regular expression of installed paths, and what the copyright file calls them: it speaks of the source package
    source: tuple[str, str] = ("", "")
    group: str = ""  # a regular expression whose groups name the singer or kit; a file without one is left out
    audit: Audit | None = None  # for copyright files in plain prose
    credit: str = ""  # authors that only another file of the package names
    held_out: tuple[str, ...] = ()  # globs of what stays out of training
    refused: tuple[tuple[str, str], ...] = ()  # globs, each with the reason


NO_SPEECH = "no speech: tones, silence or animals"
KAHVI = "its tag names the label kahvi.org, of which the package's copyright says nothing"
SUNG = "its tag says 'Female Fronted Metal': it may hold a voice"
GPL_2_OR_LATER = "version 2 or at your option any later version"
GPL_2_OR_ANY = "either version 2 of the License, or (at your option) any later version"
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"
FILLETS = Audit("GPL-2", "Ivo Danihelka, Pavel Danihelka, ALTAR interactive", "version 2 dated June, 1991")
SONIC = Audit("Apache-2.0", "Bill Cox", "The Sonic Library is licensed under the Apache 2.0 license")
ESPEAK = Audit(
    "GPL-3+",
    "Jonathan Duddington, Reece H. Dunn and others",
    "either version 3 of the License, or (at your option) any later version",
)


def _asterisk(language: str, held_out: tuple[str, ...] = ()) -> Package:
    return Package(
        f"asterisk-core-sounds-{language}-g722",
        SPEECH,
        ("usr/share/asterisk/sounds/*.g722",),
        (r"usr/share/asterisk/sounds/(..)_[^/]*/", r"\1-sounds/"),
        r"sounds/([a-z]{2}_[A-Z]{2}_\w+)/",
        held_out=held_out,
        refused=tuple(
            (glob, NO_SPEECH)
            for glob in (
                "*/silence/*",
                "*/*beep*.g722",
                "*/tt-monkeys.g722",
                "*/*-2tone.g722",
                "*/confbridge-*-in.g722",
            )
        ),
    )


def _fillets(language: str) -> Package:
    files = (f"usr/share/games/fillets-ng/sound/*/{language}/*.ogg",)
    return Package(f"fillets-ng-data-{language}", SPEECH, files, group=r"/(cs|nl)/[^/]*-([mv])-", audit=FILLETS)


PACKAGES = (
    Package(
        "wesnoth-1.16-music",
        MUSIC,
        ("usr/share/games/wesnoth/*/music/*.ogg",),
        audit=Audit("GPL-2+", "the Battle for Wesnoth project", GPL_2_OR_LATER),
        held_out=("*",),
    ),
    Package(
        "singularity-music",
        MUSIC,
        ("usr/share/games/singularity/music/*.ogg",),
        audit=Audit("CC-BY-SA-3.0", "Max McCracken", "the title of this License: Attribution, ShareAlike"),
        held_out=("*",),
    ),
    Package(
        "warzone2100-music",
        MUSIC,
        ("usr/share/games/warzone2100/music/*.opus",),
        (r"usr/share/games/warzone2100/", "data/"),
        credit="music: Martin Severn, LupusMechanicus",
    ),
    Package("naev-data", MUSIC, ("usr/share/naev/dat/snd/music/*.ogg",), (r"usr/share/naev/", "")),
    Package(
        "supertux-data",
        MUSIC,
        ("usr/share/games/supertux2/music/*.ogg",),
        (r"usr/share/games/supertux2/", "data/"),
        refused=(
            ("*/greatgigantic.ogg", "it arranges a theme of Chris Huelsbeck, whose leave the licence does not show"),
        ),
    ),
    Package("planetblupi-music-ogg", MUSIC, ("usr/share/planetblupi/music/*.ogg",)),
    Package(
        "colobot-common-sounds", MUSIC, ("usr/share/games/colobot/music/*.ogg",), (r"usr/share/games/colobot/", "data/")
    ),
    Package(
        "marsshooter-data",
        MUSIC,
        ("usr/share/games/marsshooter/audio/*.ogg",),
        (r"usr/share/games/marsshooter/", "data/"),
        refused=tuple((f"*/audio/{name}", SUNG) for name in ("menu.ogg", "tutorial.ogg", "music/[01][0-9]_-_*.ogg")),
    ),
    Package(
        "freedroidrpg-data",
        MUSIC,
        ("usr/share/freedroidrpg/data/sound/music/*.ogg",),
        (r"usr/share/freedroidrpg/", ""),
        refused=(("*/Bleostrada.ogg", KAHVI), ("*/TheBeginning.ogg", KAHVI)),
    ),
    Package(
        "nexuiz-music",
        MUSIC,
        ("usr/share/games/nexuiz/data/music.pk3*",),
        audit=Audit("GPL-2+", "Alientrap, Lee Vermeulen", GPL_2_OR_ANY),
    ),
    Package(
        "fretsonfire-songs-muldjord",
        GUITAR,
        ("usr/share/games/fretsonfire/data/songs/*/guitar.ogg",),
        audit=Audit("CC-BY-SA-3.0", "El Senator (Muldjord)", "Attribution ShareAlike licence 3.0"),
    ),
    Package(
        "fretsonfire-songs-sectoid",
        GUITAR,
        ("usr/share/games/fretsonfire/data/songs/*/guitar.ogg",),
        audit=Audit("MIT", "Carlos Viola Iborra", MIT),
    ),
    _asterisk("en"),
    _asterisk("es"),
    _asterisk("fr", held_out=("*/fr_CA_f_June/*",)),
    _asterisk("it"),
    _asterisk("ru"),
    _fillets("cs"),
    _fillets("nl"),
    Package("festvox-ru", SPEECH, ("usr/share/festival/voices/*.wav",), group=r"voices/russian/(\w+?)_clunits/"),
    Package(
        "hydrogen-drumkits",
        KIT,
        ("usr/share/hydrogen/data/drumkits/*",),
        (r"usr/share/hydrogen/data/drumkits/([^/]+?)(?: v4)?/.*", r"drumkits/\1.h2drumkit"),
        r"drumkits/([^/]+)/",
        held_out=("*/The Black Pearl 1.0/*",),
    ),
    Package(
        "avldrums.lv2-soundfont",
        DRUM_BANK,
        ("usr/share/sounds/sf2/*.sf2",),
        (r"usr/share/sounds/", ""),
        held_out=("*/Black_Pearl_4_LV2.sf2",),
    ),
    Package("fluid-soundfont-gm", BANK, ("usr/share/sounds/sf2/FluidR3_GM.sf2",), audit=Audit("MIT", "Frank Wen", MIT)),
    Package(
        "musescore-general-soundfont-small",
        BANK,
        ("usr/share/sounds/sf3/*.sf3",),
        audit=Audit("MIT", "S. Christian Collins, Michael Cowgill, Frank Wen", MIT),
    ),
    Package(
        "timgm6mb-soundfont", BANK, ("usr/share/sounds/sf2/*.sf2",), (r"usr/share/sounds/sf2/", ""), held_out=("*",)
    ),
    Package("espeak-ng", VOICE, ("usr/bin/espeak-ng",), audit=ESPEAK),
    Package("espeak-ng-data", VOICE, ("usr/lib/*/espeak-ng-data/*",), audit=ESPEAK),
    Package("libespeak-ng1", VOICE, ("usr/lib/*/libespeak-ng.so*",), audit=ESPEAK),
    Package("libpcaudio0", VOICE, ("usr/lib/*/libpcaudio.so*",)),
    Package("libsonic0", VOICE, ("usr/lib/*/libsonic.so*",), audit=SONIC),
)
