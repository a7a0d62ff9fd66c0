"""Words spoken by the speech synthesiser espeak-ng, in many voices."""

from __future__ import annotations

import io
import os
import subprocess
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep.corpus.score import Float32
from rtsep.errors import FileError

LONGEST_S = 60.0  # that the program may take


@dataclass(frozen=True)
class Espeak:
    """Where espeak-ng is; unpacked from packages is enough."""

    program: Path
    """The executable."""
    data: Path | None = None
    """The folder that holds `espeak-ng-data`; None: as installed."""
    library: Path | None = None
    """The folder of libespeak-ng.so.1; None: as installed."""


WORDS: Mapping[str, Sequence[str]] = {  # by language; each voice reads its own
    "en": (
        "tonight", "morning", "river", "over", "never", "falling", "heart", "home", "golden", "fire", "leave",
        "window", "only", "slowly", "running", "sail", "moon", "winter", "believe", "shadow", "hold on", "far away",
        "I know", "you", "and", "the", "we are", "remember", "yeah", "oh", "hey", "la la", "na na na", "ooh", "baby",
        "love", "strange", "crying", "thousand", "streets", "breathe", "zero", "vision", "please", "whisper",
    ),
    "es": ("corazón", "noche", "cielo", "siempre", "vida", "camino", "luna", "quiero", "fuego", "contigo", "mañana"),
    "it": ("amore", "notte", "sempre", "cuore", "sole", "mare", "vorrei", "lontano", "stella", "domani", "nel vento"),
    "fr": ("la nuit", "toujours", "soleil", "je veux", "chanson", "demain", "lumière", "mon cœur", "sous la pluie"),
    "de": ("Nacht", "immer", "Herz", "fliegen", "weit", "Sommer", "du und ich", "Licht", "morgen", "leise", "Straße"),
    "pt-br": ("coração", "saudade", "noite", "caminho", "mar", "sonho", "amanhã", "vem comigo", "luz", "janela"),
    "sv": ("natten", "hjärta", "alltid", "himmel", "drömmar", "vinden", "ljuset", "kom hem", "sommar", "stjärnor"),
    "pl": ("noc", "serce", "zawsze", "niebo", "droga", "słońce", "jutro", "deszcz", "gwiazdy", "cicho"),
}  # fmt: skip
ACCENTS: Mapping[str, Sequence[str]] = {"en": ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")}
VARIANTS = ("", "", "+f2", "+f3", "+f4", "+f5", "+m2", "+m3", "+m5", "+m7")


def speak(rng: np.random.Generator, espeak: Espeak) -> tuple[Float32, int]:
    """Speak some words by a voice drawn anew.

    Args:
        rng: draws words and voice.
        espeak: where the synthesiser is.

    Returns:
        (frames,), and the sample rate in Hz.

    Raises:
        FileError: if espeak-ng is missing, fails, or says nothing.
    """
    language = str(rng.choice(list(WORDS), p=[0.44, *[0.08] * (len(WORDS) - 1)]))
    accents = ACCENTS.get(language, (language,))
    voice = str(rng.choice(accents)) + str(rng.choice(VARIANTS))
    text = " ".join(rng.choice(WORDS[language], int(rng.integers(4, 12))))
    pace, pitch = int(rng.integers(95, 175)), int(rng.integers(20, 80))
    command = [str(espeak.program), "-v", voice, "-s", str(pace), "-p", str(pitch), "--stdout", text]
    environment = dict(os.environ)
    if espeak.data is not None:
        command[1:1] = ["--path", str(espeak.data)]
    if espeak.library is not None:
        environment["LD_LIBRARY_PATH"] = str(espeak.library)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=LONGEST_S, check=False)
    except OSError as error:
        raise FileError(f"{espeak.program} cannot be run: {error.strerror}; it is in the package espeak-ng") from error
    except subprocess.TimeoutExpired as error:
        raise FileError(f"{espeak.program} said nothing for {LONGEST_S:.0f} s with the voice {voice}") from error
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FileError(f"{espeak.program} failed with the voice {voice}: {told[-1] if told else 'without a word'}")
    return _sound(done.stdout, espeak.program)


def _sound(data: bytes, program: Path) -> tuple[Float32, int]:
    """Sound (frames,) out of a WAV file of 16-bit samples whose header does not know its length."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:
                raise wave.Error
            samples = np.frombuffer(file.readframes(len(data) // 2), "<i2")
            rate = file.getframerate()
    except (wave.Error, EOFError) as error:
        raise FileError(f"{program} did not write a mono WAV file of 16 bits; use espeak-ng 1.50 or newer") from error
    if not len(samples):
        raise FileError(f"{program} said nothing")
    return samples.astype(np.float32) / np.float32(32768.0), rate
