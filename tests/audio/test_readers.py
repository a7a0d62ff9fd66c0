from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from rtsep.audio.readers import open_audio
from rtsep.errors import FileError
from tests.support.recordings import RATE, coded, made, music, read_all
from tests.support.signals import Float32, error_db, noise, sine


def complaint(path: Path) -> str:
    """The one line that opening and reading a bad file gives."""
    with pytest.raises(FileError) as error:
        read_all(open_audio(path))
    text = str(error.value)
    assert str(path) in text and "\n" not in text and len(text) < 300
    return text


def sixteen_bits(sound: Float32) -> Float32:
    """The same sound in steps that 16 bits hold."""
    return (np.clip(sound, -1.0, 0.99) * 32768).round().astype(np.float32) / np.float32(32768)


@pytest.mark.parametrize(
    ("name", "options", "limit_db"),
    [
        ("float.wav", {"subtype": "FLOAT"}, -300.0),
        ("pcm.wav", {"subtype": "PCM_24"}, -120.0),
        ("short.wav", {"subtype": "PCM_16"}, -75.0),
        ("wide.wav", {"subtype": "FLOAT", "format": "RF64"}, -300.0),
        ("a.flac", {"subtype": "PCM_24"}, -120.0),
        ("a.aiff", {"subtype": "PCM_24"}, -120.0),
    ],
)
def test_round_trip(tmp_path: Path, name: str, options: dict[str, str], limit_db: float) -> None:
    sound = music(30_001)
    reader = open_audio(made(tmp_path / name, sound, **options))
    assert (reader.sample_rate, reader.channels, reader.frames) == (RATE, 2, 30_001)
    assert reader.path == tmp_path / name
    assert error_db(sound, read_all(reader, 1000)) < limit_db


def test_vorbis(tmp_path: Path) -> None:
    sound = music(30_001)
    found = read_all(open_audio(made(tmp_path / "a.ogg", sound)))
    assert found.shape[1] in range(30_001 - 128, 30_002)  # FFmpeg loses a short window at the end of libsndfile's
    assert error_db(sound[:, : found.shape[1]], found) < -25.0


@pytest.mark.parametrize("channels", [1, 2])
def test_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    sound = noise(5000, channels)
    reader = open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT"))
    assert reader.channels == channels
    assert np.array_equal(read_all(reader), sound)


def test_seek(tmp_path: Path) -> None:
    sound = noise(20_000)
    reader = open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT"))
    for frame in (15_000, 0, 7, 19_999):
        reader.seek(frame)
        assert np.array_equal(reader.read(100), sound[:, frame : frame + 100])
    reader.seek(99_999)
    assert reader.read(100).shape == (2, 0)
    reader.seek(-5)
    assert np.array_equal(reader.read(10), sound[:, :10])
    reader.close()


LOSSY = ("mp3", "opus", "webm", "m4a", "wma", "aac", "ac3", "mka")


class TestFormats:
    @pytest.mark.parametrize("ending", LOSSY)
    def test_lossy(self, tmp_path: Path, ending: str) -> None:
        rate = 48000 if ending in ("opus", "webm") else RATE
        reader = open_audio(coded(tmp_path / f"a.{ending}", music(3 * RATE)))
        assert reader.sample_rate == rate and reader.channels == 2
        found = read_all(reader)
        assert found.shape[1] == pytest.approx(3 * rate, abs=0.05 * rate)
        spectrum = np.abs(np.fft.rfft(found[:, rate : 2 * rate]))
        assert spectrum.argmax(axis=1).tolist() == [440, 1000]
        assert 2.0 * spectrum.max(axis=1) / rate == pytest.approx([0.3, 0.2], rel=0.1)

    @pytest.mark.parametrize(
        ("name", "codec"), [("a.m4a", "alac"), ("a.mka", "flac"), ("a.wv", "wavpack"), ("a.wav", "pcm_s24le")]
    )
    def test_lossless(self, tmp_path: Path, name: str, codec: str) -> None:
        sound = sixteen_bits(noise(50_000))
        assert np.array_equal(read_all(open_audio(coded(tmp_path / name, sound, codec=codec))), sound)

    @pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s32le", "pcm_f64le", "pcm_alaw", "pcm_s16be"])
    def test_samples_of_every_kind(self, tmp_path: Path, codec: str) -> None:
        sound = noise(20_000, level=0.2)
        path = coded(tmp_path / ("a.aiff" if codec.endswith("be") else "a.wav"), sound, codec=codec)
        limit_db = {"pcm_u8": -30.0, "pcm_alaw": -30.0, "pcm_s16be": -75.0}.get(codec, -120.0)
        assert error_db(sound, read_all(open_audio(path))) < limit_db

    @pytest.mark.parametrize("name", ["-i.m4a", "http:a.m4a", "a%03d.m4a", "two words ü.m4a", "Stra\udcdfe.m4a"])
    def test_names(self, tmp_path: Path, name: str) -> None:
        path = coded(tmp_path / "plain.m4a", music(20_000)).rename(tmp_path / name)
        assert read_all(open_audio(path)).shape[1] == 20_000


class TestLengths:
    @pytest.mark.parametrize("ending", ["flac", "webm", "mkv", "wav", "mp3", "wv", "opus"])
    def test_a_header_without_one(self, tmp_path: Path, ending: str) -> None:
        sound = sixteen_bits(music(2 * RATE))
        path = coded(tmp_path / f"a.{ending}", sound, piped=True)
        found = read_all(open_audio(path))
        assert found.shape[1] == pytest.approx(2 * (48000 if ending in ("webm", "mkv", "opus") else RATE), abs=2500)
        if ending in ("flac", "wav", "wv"):
            assert np.array_equal(found, sound)

    @pytest.mark.parametrize("length", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF])
    def test_a_wav_whose_writer_did_not_know_it(self, tmp_path: Path, length: int) -> None:
        sound = noise(1000)
        path = made(tmp_path / "a.wav", sound, subtype="FLOAT")
        data = bytearray(path.read_bytes())
        data[4:8] = min(length + 36, 0xFFFFFFFF).to_bytes(4, "little")
        place = data.index(b"data") + 4
        data[place : place + 4] = length.to_bytes(4, "little")
        path.write_bytes(data)
        reader = open_audio(path)
        assert np.array_equal(read_all(reader), sound)
        assert reader.remarks == []

    @pytest.mark.parametrize("ending", ["mp3", "ogg", "opus"])
    def test_two_files_one_behind_the_other(self, tmp_path: Path, ending: str) -> None:
        one = tmp_path / f"one.{ending}"
        made(one, music(2 * RATE)) if ending == "ogg" else coded(one, music(2 * RATE))
        joined = tmp_path / f"a.{ending}"
        joined.write_bytes(2 * one.read_bytes())
        reader = open_audio(joined)
        seconds = read_all(reader).shape[1] / reader.sample_rate
        assert seconds == pytest.approx(4.0, abs=0.1)
        assert any(remark.startswith("its header says 2.0") for remark in reader.remarks) or ending == "mp3"
        assert reader.frames == round(seconds * reader.sample_rate)

    @pytest.mark.parametrize("count", [0, 9000])
    def test_an_mp3_that_counts_wrong(self, tmp_path: Path, count: int) -> None:
        path = coded(tmp_path / "a.mp3", music(2 * RATE))
        right = read_all(open_audio(path))
        data = bytearray(path.read_bytes())
        place = max(data.find(b"Xing"), data.find(b"Info")) + 8
        data[place : place + 4] = count.to_bytes(4, "big")
        path.write_bytes(data)
        reader = open_audio(path)
        found = read_all(reader)
        assert found.shape[1] - right.shape[1] in range(0, 1700)  # what is cut off at the end stood in the count
        assert np.array_equal(found[:, : right.shape[1] - 1200], right[:, :-1200])
        if count:
            assert reader.remarks == ["its header says 235.06 s, it holds 2.01 s"]

    @pytest.mark.parametrize("ending", ["m4a", "mkv"])
    def test_a_picture_that_is_longer_than_the_sound(self, tmp_path: Path, ending: str) -> None:
        reader = open_audio(coded(tmp_path / f"a.{ending}", music(2 * RATE), film_s=8.0))
        assert read_all(reader).shape[1] == 2 * reader.sample_rate
        assert reader.remarks == []

    def test_it_is_measured_by_decoding(self, tmp_path: Path) -> None:
        one = coded(tmp_path / "one.mp3", music(2 * RATE))
        joined = tmp_path / "a.mp3"
        joined.write_bytes(2 * one.read_bytes())
        reader = open_audio(joined)
        assert reader.measure() == reader.frames == read_all(open_audio(joined)).shape[1]
        reader.close()


class TestBadSpots:
    @pytest.mark.parametrize("ending", ["flac", "m4a", "mp3", "ogg"])
    def test_it_is_silent_and_told(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"a.{ending}"
        sound = noise(4 * RATE, level=0.1)
        made(path, sound) if ending in ("flac", "ogg") else coded(path, sound)
        whole = read_all(open_audio(path))
        data = bytearray(path.read_bytes())
        place = len(data) * 6 // 10
        place = place if ending != "mp3" else data.index(b"\xff\xfb", place) - 8  # without its sums only a header tells
        data[place : place + 64] = np.random.default_rng(1).bytes(64)
        path.write_bytes(data)
        reader = open_audio(path)
        found = read_all(reader)
        (remark,) = [one for one in reader.remarks if "silent" in one]
        at_s = float(remark.split(": at ")[1].split(" s")[0])
        assert at_s == pytest.approx(2.4, abs=1.1 if ending == "ogg" else 0.2)  # a page of Ogg is a second
        begin = round(at_s * RATE)
        assert np.abs(found[:, begin + 445 : begin + 580]).max() < 0.01
        assert error_db(whole[:, : begin - 5000], found[:, : begin - 5000]) < -60.0
        if ending != "mp3":  # whose frames have no time
            assert found.shape[1] == whole.shape[1]
            after = slice(begin + 70_000, None)
            assert error_db(whole[:, after], found[:, after]) < (-60.0 if ending != "m4a" else -10.0)  # AAC has noise
        with pytest.raises(FileError, match=rf"is broken at {at_s:.2f} s; without --strict that spot is silent"):
            read_all(open_audio(path, strict=True))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_no_number_is_silent(self, tmp_path: Path, value: float) -> None:
        sound = noise(20_000)
        sound[1, 4410:4420] = value
        path = made(tmp_path / "a.wav", sound, subtype="FLOAT")
        reader = open_audio(path)
        found = read_all(reader)
        sound[1, 4410:4420] = 0.0
        assert np.array_equal(found, sound)
        assert reader.remarks == ["what is no number is silent: at 0.10 s (0 ms)"]
        with pytest.raises(FileError, match=r"is broken at 0\.10 s"):
            read_all(open_audio(path, strict=True))

    def test_where_most_is_broken_it_is_an_error(self, tmp_path: Path) -> None:
        path = made(tmp_path / "a.flac", noise(6 * RATE), subtype="PCM_16")
        data = bytearray(path.read_bytes())
        rng = np.random.default_rng(2)
        for place in range(60_000, len(data) - 64, 4_000):
            data[place : place + 16] = rng.bytes(16)
        path.write_bytes(data)
        assert "most of it cannot be decoded" in complaint(path)


class TestChannels:
    def test_the_centre_is_in_both(self, tmp_path: Path) -> None:
        sound = np.zeros((6, RATE), np.float32)
        sound[2] = sine(RATE, 300.0, RATE, 0.5, channels=1)[0]
        for path in (
            coded(tmp_path / "a.wav", sound, layout="5.1", codec="pcm_f32le"),
            made(tmp_path / "b.wav", sound, subtype="FLOAT"),  # it does not say what its channels are
        ):
            reader = open_audio(path)
            assert reader.channels == 2
            found = read_all(reader)
            part = 0.5**0.5 / (1.0 + 2.0 * 0.5**0.5)  # none of the matrix above full scale
            assert error_db(part * sound[[2, 2]], found) < -100.0
            assert reader.remarks[0].startswith("its 6 channels (FL FR FC LFE BL BR) are mixed down to stereo")

    def test_chosen_ones(self, tmp_path: Path) -> None:
        sound = noise(5000, 6)
        path = made(tmp_path / "a.wav", sound, subtype="FLOAT")
        assert np.array_equal(read_all(open_audio(path, channels=(3, 6))), sound[[2, 5]])
        assert np.array_equal(read_all(open_audio(path, channels=(4,))), sound[[3]])
        with pytest.raises(FileError, match="channels 3,7 are not in it; it has 6, counted from 1"):
            open_audio(path, channels=(3, 7))


class TestSeeking:
    @pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "wma", "mka", "wv", "webm"])
    def test_it_is_exact(self, tmp_path: Path, ending: str) -> None:
        time_s = np.arange(12 * RATE) / RATE
        sweep = (0.5 * np.sin(2 * np.pi * (200.0 + 200.0 * time_s) * time_s)).astype(np.float32)[None].repeat(2, axis=0)
        path = tmp_path / f"a.{ending}"
        made(path, sweep) if ending == "ogg" else coded(path, sweep)
        whole = read_all(open_audio(path))
        reader = open_audio(path)
        for frame in (1, 100_000, whole.shape[1] // 2 + 7, 5, whole.shape[1] - 9000, 0):
            reader.seek(frame)
            part = reader.read(8192)
            assert error_db(whole[:, frame : frame + 8192], part) < (
                -300.0 if ending in ("wav", "flac", "wv") else -80.0
            )
        reader.seek(10**9)
        assert reader.read(100).shape == (2, 0)
        reader.close()

    def test_behind_the_joint_of_two_files(self, tmp_path: Path) -> None:
        one = coded(tmp_path / "one.mp3", noise(3 * RATE, level=0.1))
        (tmp_path / "a.mp3").write_bytes(2 * one.read_bytes())
        whole = read_all(open_audio(tmp_path / "a.mp3"))
        reader = open_audio(tmp_path / "a.mp3")
        for frame in (133_000, 140_000, 200_000):
            reader.seek(frame)
            assert error_db(whole[:, frame : frame + 4096], reader.read(4096)) < -80.0
        reader.close()


class TestPipes:
    def test_it_is_read_to_its_end(self, tmp_path: Path) -> None:
        sound = sixteen_bits(noise(30_000))
        data = coded(tmp_path / "a.flac", sound).read_bytes()
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_bytes(data))
        writer.start()
        reader = open_audio(pipe)
        with pytest.raises(FileError, match="is a pipe, which plays from its beginning to its end"):
            reader.seek(100)
        assert np.array_equal(read_all(reader), sound)
        writer.join()

    def test_standard_input(self, tmp_path: Path) -> None:
        path = coded(tmp_path / "a.flac", music(30_000))
        code = "from pathlib import Path; from rtsep.audio.readers import open_audio\n"
        code += "print(open_audio(Path('-')).read(10**6).shape)"
        command = f'cat {path} | {sys.executable} -c "{code}"'
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == "(2, 30000)\n"

    def test_nothing_comes(self) -> None:
        assert "is empty" in complaint(Path("/dev/null"))


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "no such file" in complaint(tmp_path / "nothing.wav")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "folder" in complaint(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty.wav").touch()
        assert "empty" in complaint(tmp_path / "empty.wav")

    def test_no_sound_in_it(self, tmp_path: Path) -> None:
        assert "no sound" in complaint(made(tmp_path / "a.wav", np.zeros((2, 0), np.float32)))

    @pytest.mark.parametrize("name", ["notes.txt", "notes.wav", "notes.mp3", "notes"])
    def test_text(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("It was a dark and stormy night.\n" * 500)
        assert "sound file" in complaint(tmp_path / name)

    @pytest.mark.parametrize("name", ["random.wav", "random.flac", "random.bin"])
    def test_random_bytes(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(50_000))
        assert complaint(tmp_path / name)

    @pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff"])
    def test_truncated(self, tmp_path: Path, name: str, keep: float) -> None:
        path = made(tmp_path / name, noise(3 * RATE))
        os.truncate(path, int(path.stat().st_size * keep))
        assert "truncated" in complaint(path) or "broken" in complaint(path)

    def test_only_a_header(self, tmp_path: Path) -> None:
        for name in ("a.wav", "a.flac", "a.ogg"):
            path = made(tmp_path / name, noise(RATE))
            os.truncate(path, 40)
            assert complaint(path)

    @pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}])
    def test_a_truncated_film(self, tmp_path: Path, options: dict[str, str]) -> None:
        """With its index behind or before the sound."""
        path = coded(tmp_path / "a.m4a", noise(3 * RATE), options=options)
        os.truncate(path, path.stat().st_size // 2)
        assert "truncated" in complaint(path)

    @pytest.mark.parametrize("ending", ["mp3", "opus", "webm"])
    def test_a_truncated_lossy_file(self, tmp_path: Path, ending: str) -> None:
        path = coded(tmp_path / f"a.{ending}", noise(4 * RATE))
        os.truncate(path, path.stat().st_size // 2)
        assert "truncated" in complaint(path)

    def test_a_film_without_sound(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=2, width=64, height=64, pix_fmt="yuv420p")
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
            container.mux(stream.encode(None))
        assert "there is no sound in it" in complaint(path)

    def test_a_list_of_other_files_is_not_followed(self, tmp_path: Path) -> None:
        secret = coded(tmp_path / "secret.wav", music(1000))
        (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n")
        (tmp_path / "b.ffconcat").write_text(f"ffconcat version 1.0\nfile {secret}\n")
        for name in ("a.m3u8", "b.ffconcat"):
            assert "not a sound file" in complaint(tmp_path / name)
