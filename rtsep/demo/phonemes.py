"""The sounds the demo's singer can make, and how a syllable becomes a row of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phoneme:
    """One speech sound as a vocal tract makes it."""

    formants_hz: tuple[float, float, float, float]
    """The first four resonances; zeros take over those of the neighbouring vowel."""
    voiced: float = 1.0
    """How loud the vocal folds sound, 0 to 1."""
    breath: float = 0.0
    """How loud breath from the glottis sounds through the formants."""
    hiss: float = 0.0
    """How loud the noise of a narrow place near the lips or teeth is."""
    hiss_hz: float = 6000.0
    """Where that noise is strongest."""
    length_s: float = 0.0
    """A consonant's length; vowels take what is left."""
    burst: bool = False
    """Stops: silence first, and only the last part sounds."""


def _vowel(f1: float, f2: float, f3: float, f4: float = 4000.0) -> Phoneme:
    return Phoneme((f1, f2, f3, f4))


def _sonorant(f1: float, f2: float, f3: float, voiced: float, length_s: float) -> Phoneme:
    return Phoneme((f1, f2, f3, 3800.0), voiced=voiced, length_s=length_s)


def _hissing(hiss: float, hiss_hz: float, length_s: float, voiced: float = 0.0) -> Phoneme:
    return Phoneme((320.0, 1650.0, 2700.0, 4000.0), voiced, hiss=hiss, hiss_hz=hiss_hz, length_s=length_s)


def _stop(f2: float, hiss: float, hiss_hz: float, length_s: float, voiced: float = 0.0, breath: float = 0.0) -> Phoneme:
    return Phoneme((300.0, f2, 2600.0, 4000.0), voiced, breath, hiss, hiss_hz, length_s, burst=True)


PHONEMES: dict[str, Phoneme] = {
    # Vowels of an alto: the mean formants of women's speech, a little lower and, at the back, a little more open, as
    # singers do when the pitch nears the first formant.
    "IY": _vowel(330, 2550, 3150),
    "IH": _vowel(440, 2250, 2950),
    "EH": _vowel(600, 2150, 2900),
    "AE": _vowel(800, 1900, 2750),
    "AA": _vowel(820, 1200, 2750),
    "AH": _vowel(700, 1350, 2750),
    "AO": _vowel(610, 950, 2700),
    "OW": _vowel(520, 930, 2650),
    "UH": _vowel(460, 1120, 2600),
    "UW": _vowel(370, 950, 2550),
    "ER": _vowel(500, 1500, 1950),
    # Consonants that ring.
    "M": _sonorant(270, 1050, 2350, 0.45, 0.075),
    "N": _sonorant(280, 1650, 2600, 0.45, 0.065),
    "NG": _sonorant(290, 2150, 2700, 0.42, 0.090),
    "L": _sonorant(370, 1080, 2850, 0.65, 0.070),
    "R": _sonorant(380, 1180, 1700, 0.65, 0.075),
    "W": _sonorant(320, 680, 2300, 0.60, 0.080),
    "Y": _sonorant(290, 2450, 3150, 0.60, 0.070),
    # Consonants that hiss, with or without the folds.
    "S": _hissing(0.34, 7200.0, 0.115),
    "Z": _hissing(0.17, 7000.0, 0.080, voiced=0.30),
    "F": _hissing(0.10, 8500.0, 0.090),
    "V": _hissing(0.07, 8000.0, 0.060, voiced=0.35),
    "DH": _hissing(0.05, 7500.0, 0.045, voiced=0.40),
    "HH": Phoneme((0.0, 0.0, 0.0, 0.0), voiced=0.0, breath=0.30, length_s=0.080),
    # Consonants that burst.
    "P": _stop(900, 0.20, 1500.0, 0.080, breath=0.15),
    "T": _stop(1800, 0.42, 5200.0, 0.085, breath=0.12),
    "K": _stop(2000, 0.34, 2400.0, 0.090, breath=0.20),
    "B": _stop(900, 0.14, 1200.0, 0.060, voiced=0.18),
    "D": _stop(1800, 0.20, 4500.0, 0.055, voiced=0.18),
    "G": _stop(2000, 0.18, 2200.0, 0.065, voiced=0.18),
}

VOWELS = frozenset(name for name, phoneme in PHONEMES.items() if phoneme.length_s == 0.0)


def split_syllable(syllable: str) -> tuple[list[str], list[str], list[str]]:
    """Split "W AO R" into what goes before the beat, what is held, and what closes the note.

    Raises:
        ValueError: for a name that is no phoneme, and for a syllable without a vowel.
    """
    names = syllable.split()
    held = [index for index, name in enumerate(names) if name in VOWELS]
    if not held or any(name not in PHONEMES for name in names):
        raise ValueError(f"syllable {syllable!r}: write names out of {', '.join(PHONEMES)}, a vowel among them")
    return names[: held[0]], names[held[0] : held[-1] + 1], names[held[-1] + 1 :]
