"""TensorFlow's checkpoints: real indexes of Deezer's, files by TensorFlow, and all that can be wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model.archive import opened
from rtsep.model.importers.tf_checkpoint import MAX_INDEX_BYTES, find_prefix, open_bundle, read_index
from tests.support.tensorflow import MAGIC, block, entry, mask, message, number, packed, table, varint, write_checkpoint
from tests.support.tensorflow import write_parts as write

DEEZERS = Path(__file__).parents[3].parent / "shared" / "fixtures" / "spleeter"
ORIGINAL = Path(__file__).parent / "original"
HEADER = (b"", b"\x08\x01")

Arrays = dict[str, NDArray[Any]]


def arrays(count: int = 200) -> Arrays:
    """Tensors with names that share beginnings, and more of them than one block holds."""
    random = np.random.default_rng(1)
    named: Arrays = {f"conv2d_{n}/kernel": random.random((2, 3, n % 4 + 1)).astype(np.float32) for n in range(count)}
    return {**named, "global_step": np.array(7), "wide": np.linspace(0, 1, 5)}


def refused(prefix: Path) -> str:
    with pytest.raises(ModelError) as caught:
        open_bundle(prefix)
    message = str(caught.value)
    assert str(prefix) in message and "\n" not in message
    return message


@pytest.mark.skipif(not DEEZERS.is_dir(), reason="Deezer's index files are not here")
@pytest.mark.parametrize(
    ("stems", "count", "data_bytes"), [(2, 149, 78_614_080), (4, 297, 157_228_152), (5, 371, 196_535_188)]
)
def test_deezers_own_indexes(stems: int, count: int, data_bytes: int) -> None:
    entries = read_index(DEEZERS / f"{stems}stems.index")
    assert len(entries) == count and list(entries) == sorted(entries)
    assert sum(entry.size for entry in entries.values()) == data_bytes
    offset = 0
    for found in entries.values():  # they lie one behind the other, in the order of their names
        assert found.offset == offset
        offset += found.size
    assert entries["conv2d/kernel"].shape == (5, 5, 2, 16)
    assert entries["conv2d_6/kernel"].shape == (4, 4, 1, 2)
    assert entries["conv2d_transpose/kernel"].shape == (5, 5, 256, 512)
    assert entries[f"conv2d_transpose_{6 * stems - 1}/kernel"].shape == (5, 5, 1, 32)
    assert entries["global_step"].dtype == np.int64 and entries["global_step"].shape == ()
    others = [found.dtype for name, found in entries.items() if name != "global_step"]
    assert set(others) == {np.dtype(np.float32)}


@pytest.mark.parametrize(("name", "count"), [("2stems", 149), ("5stems", 371)])
def test_files_that_tensorflow_wrote(name: str, count: int) -> None:
    with opened(ORIGINAL / f"{name}.tar.gz") as folder:
        bundle = open_bundle(find_prefix(folder))
        found = {name: bundle.read(name) for name in bundle.entries}
    assert len(found) == count
    for tensor, array in found.items():  # drawn from these by checkpoints.py
        low, high = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 2)}.get(tensor.rpartition("/")[2], (-1, 1))
        assert low <= array.min() and array.max() <= high and (array.any() or tensor == "global_step")


@pytest.mark.parametrize("per_block", [1, 7, 1000])
def test_what_is_written_is_read(tmp_path: Path, per_block: int) -> None:
    wanted = arrays()
    bundle = open_bundle(find_prefix(write_checkpoint(tmp_path / "model", wanted, per_block)))
    assert list(bundle.entries) == sorted(wanted)
    for name, array in wanted.items():
        found = bundle.read(name)
        assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


def test_one_flipped_bit_of_data_is_refused_by_the_tensors_name(tmp_path: Path) -> None:
    items, data = packed(arrays(3))
    prefix = write(tmp_path / "model", table(items), data)
    entries = open_bundle(prefix).entries
    for name, found in entries.items():
        place = found.offset + found.size // 2
        write(prefix, table(items), data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        bundle = open_bundle(prefix)  # lists without reading
        with pytest.raises(ModelError, match=f"tensor '{name}' is damaged, its CRC32C differs"):
            bundle.read(name)
        for other in set(entries) - {name}:
            bundle.read(other)


def test_one_flipped_bit_anywhere_in_the_index_changes_nothing_or_is_refused(tmp_path: Path) -> None:
    items, data = packed(arrays(3))
    index = table(items, 2)
    prefix = write(tmp_path / "model", index, data)
    wanted = open_bundle(prefix).entries
    accepted = 0
    for place in range(len(index)):
        broken = index[:place] + bytes([index[place] ^ (1 << place % 8)]) + index[place + 1 :]
        write(prefix, broken, data)
        try:
            assert open_bundle(prefix).entries == wanted
            accepted += 1
        except ModelError as error:
            assert "\n" not in str(error)
    assert accepted < 70  # the table's properties, which are not used, and the padding of the footer


def test_an_index_cut_anywhere_is_refused(tmp_path: Path) -> None:
    items, data = packed(arrays(3))
    index = table(items)
    for end in range(0, len(index), 5):
        assert "cut short" in refused(write(tmp_path / "model", index[:end], data))


def test_data_that_ends_early_is_refused_by_the_tensors_name(tmp_path: Path) -> None:
    items, data = packed(arrays(3))
    assert "tensor 'wide' ends beyond the file's" in refused(write(tmp_path / "model", table(items), data[:-1]))


def test_missing_files_are_named(tmp_path: Path) -> None:
    prefix = write(tmp_path / "model", table([HEADER]), b"")
    (tmp_path / "model.data-00000-of-00001").unlink()
    assert "model.data-00000-of-00001 is missing" in refused(prefix)


@pytest.mark.parametrize("foreign", [pickle.dumps({"state_dict": list(range(100))}), b"", b"\x80\x02", bytes(100)])
def test_other_files_are_no_index(tmp_path: Path, foreign: bytes) -> None:
    assert "is no index of a TensorFlow V2 checkpoint" in refused(write(tmp_path / "model", foreign, b""))


def test_a_compressed_index_is_refused(tmp_path: Path) -> None:
    items, data = packed(arrays(3))
    assert "is compressed (type 1)" in refused(write(tmp_path / "model", table(items, kind=1), data))


def test_a_huge_index_is_not_read(tmp_path: Path) -> None:
    assert f"more than {MAX_INDEX_BYTES}" in refused(write(tmp_path / "model", bytes(MAX_INDEX_BYTES + 1), b""))


def one(value: bytes, header: bytes = b"\x08\x01", name: bytes = b"evil") -> bytes:
    return table([(b"", header), (name, value)])


GOOD = entry(1, (2, 2), 0, 16, mask(bytes(16)))


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (one(GOOD, header=b"\x08\x02"), "its data is in 2 files"),
        (one(GOOD, header=b""), "its data is in 0 files"),
        (one(GOOD, header=b"\x08\x01\x10\x01"), "big-endian"),
        (table([(b"evil", GOOD)]), "no header"),
        (table([HEADER, (b"z", GOOD), (b"a", GOOD)]), "not in order"),
        (table([HEADER, (b"a", GOOD), (b"a", GOOD)]), "not in order"),
        (table([HEADER, (b"a", GOOD), (b"b", GOOD)]), "tensors overlap"),
        (one(GOOD, name=b"e" * 501), "does not fit"),
        (one(entry(7, (2, 2), 0, 16, bytes(4))), "'evil' has the unsupported data type 7"),
        (one(entry(1, (2, 2), 0, 12, bytes(4))), "12 bytes, which is not float32 of shape (2, 2)"),
        (one(entry(1, (1 << 31, 1 << 31), 0, 16, bytes(4))), "'evil' has a dimension of 2147483648"),
        (one(entry(1, (0,), 0, 0, bytes(4))), "'evil' has a dimension of 0"),
        (one(entry(1, (1,) * 70, 0, 4, bytes(4))), "which is not float32"),
        (one(entry(1, (2, 2), 1 << 62, 16, bytes(4))), "'evil' ends beyond the file's 16 bytes"),
        (one(entry(1, (1 << 30, 1 << 20), 0, 1 << 52, bytes(4))), "'evil' ends beyond the file's 16 bytes"),
        (one(GOOD + message(7, b"")), "'evil' is stored in slices"),
        (one(GOOD + number(3, 1)), "entry of 'evil' is not as it should be"),
        (one(GOOD + message(4, b"evil")), "entry of 'evil' is not as it should be"),
        (one(GOOD + b"\x0b"), "field of the unknown kind 3"),
        (one(GOOD + b"\x12\x7f"), "'evil' is cut short"),
        (one(GOOD + b"\xff" * 12), "is cut short"),
        (b"\xff" * 40 + MAGIC, "is cut short"),
        ((varint(0) * 2 + varint(1 << 60) + varint(1 << 60)).ljust(40, b"\0") + MAGIC, "not within the file"),
    ],
)
def test_a_hostile_index_is_refused(tmp_path: Path, index: bytes, words: str) -> None:
    assert words in refused(write(tmp_path / "model", index, bytes(16)))


def sealed(content: bytes) -> bytes:
    """An index whose only block, its list of blocks, is `content` with a right CRC32C."""
    whole = content + b"\0" + mask(content + b"\0")
    return whole + (b"\0\0" + varint(0) + varint(len(content))).ljust(40, b"\0") + MAGIC


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xff\xff\xff", "no room for its table"),
        (b"\x05\x01\x00k" + bytes(4), "an entry that does not fit"),  # shares with a key that is not there
        (b"\x00\x01\x7fk" + bytes(4), "an entry that does not fit"),
        (b"\x00\x00\x02\x00\x03" + bytes(4), "not within the file"),
        (b"\x00\x00\x00" * 20_000 + bytes(4), "is cut short"),
        (b"", "not within the file"),
    ],
)
def test_a_hostile_block_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refused(write(tmp_path / "model", sealed(content), b""))


def test_a_block_that_is_listed_often_is_refused(tmp_path: Path) -> None:
    good = block([HEADER, (b"evil", GOOD)])
    handle = varint(0) + varint(len(good) - 5)
    many = block([(b"%06d" % n, handle) for n in range(9000)])
    footer = (b"\0\0" + varint(len(good)) + varint(len(many) - 5)).ljust(40, b"\0") + MAGIC
    assert "more than 10000 tensors" in refused(write(tmp_path / "model", good + many + footer, bytes(16)))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.index").touch()


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("model",), "model"),
        (("model.ckpt-9", "model.ckpt-100", "model.ckpt-20"), "model.ckpt-100"),
        (("model.ckpt-9", "model"), "model"),
        (("model", "._model", "other"), "model"),
    ],
)
def test_the_checkpoint_of_a_folder(tmp_path: Path, names: tuple[str, ...], wanted: str) -> None:
    touch(tmp_path, *names)
    assert find_prefix(tmp_path) == tmp_path / wanted


@pytest.mark.parametrize(
    "written",
    [
        "model.ckpt-9",
        "{folder}/model.ckpt-9",
        "/home/else/songs/model.ckpt-9",
        r"D:\\train\\model.ckpt-9",
        r"C:\train\model.ckpt-9",
    ],
)
def test_the_file_checkpoint_says_which(tmp_path: Path, written: str) -> None:
    touch(tmp_path, "model", "model.ckpt-9", "model.ckpt-100")
    lines = f'model_checkpoint_path: "{written}"\nall_model_checkpoint_paths: "model"\n'
    (tmp_path / "checkpoint").write_text(lines.format(folder=tmp_path))
    assert find_prefix(tmp_path) == tmp_path / "model.ckpt-9"


@pytest.mark.parametrize(
    "written",
    ["../outside/model", "inner/model", "..", "/etc/..", r"inner\model", "/etc/passwd", "../outside/../folder/model"],
)
def test_the_file_checkpoint_may_not_leave_its_folder(tmp_path: Path, written: str) -> None:
    for name in ("outside", "folder/inner"):
        (tmp_path / name).mkdir(parents=True)
        touch(tmp_path / name, "model")
    touch(tmp_path / "folder", "model")
    (tmp_path / "folder/checkpoint").write_text(f'model_checkpoint_path: "{written}"\n')
    with pytest.raises(ModelError, match=r"outside its folder; only a plain name|is not there"):
        find_prefix(tmp_path / "folder")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model_checkpoint_path: "gone"', "names 'gone', but gone.index is not there"),
        ('model_checkpoint_path: ""', "but .index is not there"),
        ('all_model_checkpoint_paths: "model"', "names no model_checkpoint_path"),
        ("\0\xff" * 9, "names no model_checkpoint_path"),
        ("x" * 2_000_000, "is no list of checkpoints"),
    ],
)
def test_a_useless_file_checkpoint_is_refused(tmp_path: Path, text: str, words: str) -> None:
    touch(tmp_path, "model")
    (tmp_path / "checkpoint").write_text(text)
    with pytest.raises(ModelError) as caught:
        find_prefix(tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("path", ["model.ckpt-9", "model.ckpt-9.index"])
def test_a_prefix_or_an_index_is_taken_as_it_is(tmp_path: Path, path: str) -> None:
    touch(tmp_path, "model.ckpt-9", "model.ckpt-10")
    assert find_prefix(tmp_path / path) == tmp_path / "model.ckpt-9"


@pytest.mark.parametrize(("path", "words"), [("", "holds no checkpoint"), ("gone", "is no checkpoint: neither")])
def test_where_there_is_none(tmp_path: Path, path: str, words: str) -> None:
    touch(tmp_path, "other", "model.ckpt-x")
    with pytest.raises(ModelError, match=words):
        find_prefix(tmp_path / path)


def test_a_name_cannot_break_the_line_of_its_refusal(tmp_path: Path) -> None:
    index = one(entry(7, (1,), 0, 4, bytes(4)), name=b"\x1b[2J\nevil")
    assert r"'\x1b[2J\nevil'" in refused(write(tmp_path / "model", index, bytes(16)))
