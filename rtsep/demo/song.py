"""The demo song: written, sung and played by this package, so that anyone may share what they make of it.

Two bars of the band alone, eight bars sung, one last chord. `python -m rtsep.demo.song OUT.ogg` renders it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rtsep.demo.band import NoteEvent, bass, drums, keys, pad, sidechain_gain
from rtsep.demo.tone import Array, faded
from rtsep.demo.voice import SungNote, voice

SAMPLE_RATE = 44_100
SECONDS = 24.0
BPM = 116.0
BEAT_S = 60.0 / BPM
BARS = 11
INTRO_BARS = 2
INTRO_S = 4 * INTRO_BARS * BEAT_S
"""Where the first sung bar begins; its first consonant comes a little before."""
FADE_S = 0.9
KEY = -3
"""Semitones from the key the score is written in, C major, to the key it sounds in, A major: an alto's middle."""

# The mix, fixed by measurement: peak near -1 dBFS, mean power near -16 dBFS.
VOCALS_GAIN, DRUMS_GAIN, BASS_GAIN, PAD_GAIN, KEYS_GAIN = 0.162, 0.375, 0.185, 0.038, 0.080

# One chord a bar: Am7, Fmaj7, C, G twice, after an intro of its second half, and a C to close.
AM, F, C, G = (45, (57, 60, 64, 67)), (41, (53, 57, 60, 64)), (48, (55, 60, 64, 67)), (43, (55, 59, 62, 69))
CHORDS: tuple[tuple[int, tuple[int, ...]], ...] = (F, G, AM, F, C, G, AM, F, C, G, (36, (55, 60, 62, 64, 67)))

# Bar by bar: beat, length in beats, MIDI note, syllable.
MELODY: tuple[tuple[tuple[float, float, int, str], ...], ...] = (
    (
        (0.0, 0.75, 64, "M AO R N"),
        (0.75, 0.5, 62, "IH NG"),
        (1.25, 0.5, 60, "AO N"),
        (1.75, 0.5, 62, "DH AH"),
        (2.25, 0.75, 64, "W AO"),
        (3.0, 0.75, 57, "T ER"),
    ),
    (
        (0.0, 0.75, 69, "S L OW"),
        (0.75, 0.75, 67, "L IY"),
        (1.5, 0.5, 64, "T ER N Z"),
        (2.0, 0.5, 62, "T UW"),
        (2.5, 1.25, 60, "G OW UH L D"),
    ),
    (
        (0.0, 0.75, 64, "AO L"),
        (0.75, 0.5, 62, "DH AH"),
        (1.25, 0.75, 67, "S AO NG Z"),
        (2.0, 0.5, 64, "W IY"),
        (2.5, 0.75, 62, "K AE"),
        (3.25, 0.5, 60, "R IY"),
    ),
    (
        (0.0, 0.5, 62, "K AH M"),
        (0.5, 0.5, 64, "AH"),
        (1.0, 1.0, 67, "P AA R T"),
        (2.0, 0.5, 64, "AH N"),
        (2.5, 1.25, 62, "F OW UH L D"),
    ),
    (
        (0.0, 0.75, 69, "W AH N"),
        (0.75, 0.5, 67, "B AA IY"),
        (1.25, 0.75, 69, "W AH N"),
        (2.0, 0.5, 67, "AA IY"),
        (2.5, 0.75, 64, "HH IY R"),
        (3.25, 0.5, 62, "DH EH M"),
    ),
    (
        (0.0, 0.5, 72, "EH V"),
        (0.5, 0.5, 69, "R IY"),
        (1.0, 0.75, 67, "V OW IY S"),
        (2.0, 0.5, 67, "AH"),
        (2.5, 1.25, 69, "L OW UH N"),
    ),
    (
        (0.0, 1.0, 67, "HH OW UH L D"),
        (1.0, 0.5, 64, "DH AH"),
        (1.5, 1.0, 67, "L AA IY N"),
        (2.5, 0.5, 64, "B IY"),
        (3.0, 0.5, 62, "T W IY N"),
        (3.5, 0.45, 60, "AH S"),
    ),
    (
        (0.0, 0.5, 62, "S IH NG"),
        (0.5, 1.0, 64, "M IY"),
        (1.75, 0.5, 67, "S IH NG"),
        (2.25, 1.25, 64, "M IY"),
    ),
    ((0.0, 3.0, 60, "HH OW UH M"),),
)


def sung_notes() -> list[SungNote]:
    """Give the melody in seconds."""
    out = []
    for bar, notes in enumerate(MELODY, start=INTRO_BARS):
        for beat, length, pitch, syllable in notes:
            loudness = 1.0 + 0.012 * (pitch - 64)
            out.append(SungNote((4 * bar + beat) * BEAT_S, length * BEAT_S, pitch + KEY, syllable, loudness))
    return out


def _on_beats(bar: int, name: str, beats: tuple[float, ...], loudness: float = 1.0) -> list[NoteEvent]:
    return [NoteEvent((4 * bar + beat) * BEAT_S, name, loudness) for beat in beats]


def drum_hits() -> list[NoteEvent]:
    """Give the drums: four on the floor, claps on two and four, more and more cymbals."""
    out: list[NoteEvent] = []
    offbeats = (0.5, 1.5, 2.5, 3.5)
    for bar in range(BARS - 1):
        out += _on_beats(bar, "kick", (0.0, 1.0, 2.0, 3.0))
        out += _on_beats(bar, "closed", (0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75), 0.5)
        out += _on_beats(bar, "clap", (1.0, 3.0))
        out += _on_beats(bar, "closed" if bar == 0 else "open", offbeats)
        if bar >= INTRO_BARS + 4:
            out += _on_beats(bar, "shaker", tuple(np.arange(16) / 4.0), 0.8)
        if bar % 4 == 1:
            out += _on_beats(bar, "clap", (3.5, 3.75), 0.55)
    for bar in (INTRO_BARS, INTRO_BARS + 4, BARS - 1):
        out += _on_beats(bar, "crash", (0.0,))
    out += _on_beats(BARS - 1, "kick", (0.0,))
    return sorted(out, key=lambda hit: (hit.start_s, hit.name))


def bass_notes() -> list[NoteEvent]:
    """Give the bass: roots between the kicks, with a step to the fifth and the octave."""
    out = []
    figure = ((0.0, 0.45, 0, 0.8), (0.75, 0.5, 0, 0.9), (1.5, 0.4, 12, 0.75), (2.0, 0.4, 0, 0.8), (2.75, 0.6, 0, 0.9))
    for bar, (root, _) in enumerate(CHORDS[:-1]):
        low = root if root < 47 else root - 12
        for beat, length, step, loudness in (*figure, (3.5, 0.4, 7, 0.75)):
            start_s = (4 * bar + beat) * BEAT_S
            out.append(NoteEvent(start_s, "bass", loudness, low + step + KEY, length * BEAT_S))
    out.append(NoteEvent(4 * (BARS - 1) * BEAT_S, "bass", 0.8, CHORDS[-1][0] + KEY, 4.0 * BEAT_S))
    return out


def key_notes() -> list[NoteEvent]:
    """Give an arpeggio in the gaps of the groove, an octave above the pad, thinner where the voice sings."""
    out = []
    order = (0, 2, 3, 1, 2, 3)
    for bar, (_, chord) in enumerate(CHORDS[:-1]):
        loudness = 1.0 if bar < INTRO_BARS else 0.6
        for place, beat in enumerate((0.0, 0.75, 1.5, 2.25, 2.75, 3.5)):
            pitch = chord[order[place]] + 12 + KEY
            out.append(NoteEvent((4 * bar + beat) * BEAT_S, "keys", loudness, pitch, 0.75 * BEAT_S))
    for place, pitch in enumerate(CHORDS[-1][1]):
        out.append(NoteEvent((4 * (BARS - 1) + 0.06 * place) * BEAT_S, "keys", 0.8, pitch + 12 + KEY, 0.75 * BEAT_S))
    return out


def pad_notes() -> list[NoteEvent]:
    """Give each bar's chord, held."""
    out = []
    for bar, (_, chord) in enumerate(CHORDS):
        length_s = 4.0 * BEAT_S if bar < BARS - 1 else 6.0 * BEAT_S
        out += [NoteEvent(4 * bar * BEAT_S, "pad", 1.0, pitch + KEY, length_s) for pitch in chord]
    return out


def render(sample_rate: int = SAMPLE_RATE, seconds: float = SECONDS) -> dict[str, Array]:
    """Render the stems, whose sum is the song.

    Args:
        sample_rate: in Hz, 8000 or more.
        seconds: below the song's length gives its beginning; beyond it there is silence.

    Returns:
        Vocals, drums, bass and other, each (2, frames).

    Raises:
        ValueError: for a lower rate, or no time at all.
    """
    if sample_rate < 8_000 or seconds <= 0.0:
        raise ValueError(f"sample_rate {sample_rate}, seconds {seconds}: give at least 8000 Hz and more than 0 s")
    frames = round(SECONDS * sample_rate)
    hits = drum_hits()
    other = PAD_GAIN * sidechain_gain(hits, frames, sample_rate, 0.65, 0.2) * pad(pad_notes(), frames, sample_rate)
    other += KEYS_GAIN * sidechain_gain(hits, frames, sample_rate, 0.3, 0.15) * keys(key_notes(), frames, sample_rate)
    stems = {
        "vocals": VOCALS_GAIN * voice(sung_notes(), frames, sample_rate),
        "drums": DRUMS_GAIN * drums(hits, frames, sample_rate),
        "bass": BASS_GAIN
        * sidechain_gain(hits, frames, sample_rate, 0.55, 0.12)
        * bass(bass_notes(), frames, sample_rate),
        "other": other,
    }
    wanted = round(seconds * sample_rate)
    out = {}
    for name, stem in stems.items():
        ended = faded(stem, 0, round(FADE_S * sample_rate)).astype(np.float32)
        out[name] = np.pad(ended[:, :wanted], ((0, 0), (0, max(0, wanted - frames))))
    return out


def mix(stems: dict[str, Array]) -> Array:
    """Sum stems, (2, frames) each."""
    return np.asarray(np.sum(list(stems.values()), axis=0), np.float32)


def write(path: Path, sound: Array, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a sound as Ogg Vorbis.

    Args:
        path: of the file.
        sound: (2, frames).
        sample_rate: in Hz.
    """
    import soundfile

    # At the default quality the coding noise costs a separator 1 dB of the vocals; at this one a third of that.
    options = {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.4}
    with soundfile.SoundFile(path, "w", sample_rate, len(sound), **options) as file:
        # libsndfile's Vorbis encoder overruns its stack when handed a whole song at once.
        for start in range(0, sound.shape[-1], 4096):
            file.write(sound[:, start : start + 4096].T)


def main(arguments: list[str] | None = None) -> None:
    """Render the song into the file named on the command line.

    Args:
        arguments: of the command line; None for the program's own.

    Raises:
        SystemExit: for anything but the name of an .ogg file.
    """
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1 or not names[0].endswith(".ogg"):
        raise SystemExit("usage: python -m rtsep.demo.song OUT.ogg")
    sound = mix(render())
    write(Path(names[0]), sound)
    peak_db = 20.0 * np.log10(np.max(np.abs(sound)))
    rms_db = 10.0 * np.log10(np.mean(np.square(sound, dtype=np.float64)))
    print(f"{names[0]}: {sound.shape[-1] / SAMPLE_RATE:.1f} s, peak {peak_db:.1f} dBFS, RMS {rms_db:.1f} dBFS")


if __name__ == "__main__":
    main()
