"""torch's files, as torch writes them and as nobody should: read without torch, and nothing of them runs."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from rtsep.model.importers import torch_checkpoint, torch_pickle
from rtsep.model.importers.torch_checkpoint import MAGIC, read
from rtsep.model.importers.torch_pickle import BrokenError, Foreign, TensorView

FORMATS = pytest.mark.parametrize("zipped", [True, False])


def saved(content: object, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def arrays(raw: bytes) -> dict[str, NDArray[Any]]:
    content, tensor = read(raw)
    return {name: tensor(view) for name, view in content.items()}


def refused(raw: bytes) -> str:
    with pytest.raises(BrokenError) as caught:
        content, tensor = read(raw)
        for view in content.values():
            tensor(view)
    return str(caught.value)


@FORMATS
def test_every_type_and_layout(zipped: bool) -> None:
    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    content = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1:, ::2, 1],
        "scalar": whole[1, 2, 3],
        "spread": torch.tensor([2.5]).expand(3, 2),
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([1.5, -2.0]).half(),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "counts": torch.tensor([2**40, -1]),
        "flags": torch.tensor([True, False]),
        "bytes": torch.tensor([255], dtype=torch.uint8),
        "parameter": nn.Parameter(torch.ones(2)),
    }
    found = arrays(saved(content, zipped))
    assert found.keys() == content.keys()
    for name, tensor in content.items():
        wanted = tensor.detach().numpy()
        assert found[name].dtype == wanted.dtype and found[name].flags.c_contiguous
        np.testing.assert_array_equal(found[name], wanted, strict=True)


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_state_dict_of_a_module(zipped: bool, protocol: int) -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.LSTM(2, 4, 2, bidirectional=True))
    file = io.BytesIO()
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    found = arrays(file.getvalue())
    assert list(found) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


@FORMATS
def test_other_things_of_torch_are_noted_and_not_made(zipped: bool) -> None:
    content, _ = read(
        saved({"sparse": torch.eye(2).to_sparse(), "size": torch.Size([2]), "rest": [1.5, (None,)]}, zipped)
    )
    assert isinstance(content["sparse"], Foreign) and isinstance(content["size"], Foreign)
    assert content["rest"] == [1.5, (None,)]
    with pytest.raises(BrokenError, match="BFloat16Storage"):
        read(saved({"x": torch.zeros(2, dtype=torch.bfloat16)}, zipped))


# Handmade ---------------------------------------------------------------------------------------


class Persistent:
    """Stands for a storage in a handmade pickle."""

    def __init__(self, *told: Any) -> None:
        self.told = told


class Call:
    """Stands for a call in a handmade pickle."""

    def __init__(self, called: Any, *arguments: Any) -> None:
        self.called, self.arguments = called, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.called, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> Any:
        return value.told if isinstance(value, Persistent) else None


def described(content: object) -> bytes:
    file = io.BytesIO()
    Pickler(file, 2).dump(content)
    return file.getvalue()


def zipped_file(description: bytes, data: bytes = bytes(16), **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", description)
        archive.writestr("archive/data/0", data)
        for name, content in more.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def stream_file(description: bytes, keys: object = ("0",), count: int = 4, data: bytes = bytes(16)) -> bytes:
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, machine))
    listed = pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2)
    return head + description + listed + struct.pack("<q", count) + data


def storage(
    count: Any = 4, key: Any = "0", kind: Any = torch.FloatStorage, tag: Any = "storage", *more: Any
) -> Persistent:
    return Persistent(tag, kind, key, "cpu", count, *more)


def tensor(place: Any = None, offset: Any = 0, shape: Any = (4,), strides: Any = (1,), called: Any = None) -> Call:
    rebuild = called or torch._utils._rebuild_tensor_v2
    return Call(rebuild, storage() if place is None else place, offset, shape, strides, False, OrderedDict())


def test_handmade_files_are_read() -> None:
    data = np.arange(4, dtype="<f4").tobytes()
    assert arrays(zipped_file(described({"x": tensor()}), data))["x"].tolist() == [0, 1, 2, 3]
    assert arrays(zipped_file(described({"x": tensor(shape=(2,), strides=(2,), offset=1)}), data))["x"].tolist() == [
        1,
        3,
    ]
    old = tensor(storage(4, "0", torch.FloatStorage, "storage", None))
    assert arrays(stream_file(described({"x": old}), data=data))["x"].tolist() == [0, 1, 2, 3]
    assert arrays(zipped_file(described({"x": tensor()}), data, byteorder=b"little"))["x"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tensor(offset=1), "ends beyond its storage of 4 values"),
        (tensor(shape=(2, 3), strides=(3, 1)), "ends beyond its storage"),
        (tensor(shape=(5,)), "ends beyond its storage"),
        (tensor(shape=(2,), strides=(2**61,)), "ends beyond its storage"),
        (tensor(shape=(2,), strides=(-1,), offset=3), "shape or strides"),
        (tensor(shape=(-4,)), "shape or strides"),
        (tensor(shape=(2**70,), strides=(0,)), "shape or strides"),
        (tensor(shape=(True,)), "shape or strides"),
        (tensor(shape=[4]), "shape or strides"),
        (tensor(shape=(1,) * 17, strides=(1,) * 17), "shape or strides"),
        (tensor(offset=-1), "begins at -1"),
        (tensor(shape=(2, 2)), "differ in length"),
        (tensor(storage(5)), "has 16 bytes, not those of its values"),
        (tensor(storage(2**61), shape=(1,)), "has 16 bytes, not those of its values"),
        (tensor(storage(-4)), "has -4 values"),
        (tensor(storage(4.0)), "has 4.0 values"),
        (tensor(storage(key="../1")), "There is no item named 'archive/data/../1'"),
        (tensor(storage(key=0)), "in an unknown way"),
        (tensor(storage(kind="FloatStorage")), "in an unknown way"),
        (tensor(storage(kind=torch.nn.Linear)), "the type 'torch.nn.modules.linear.Linear', which is not read"),
        (tensor(storage(tag="module")), "no storage"),
        (tensor(Persistent("0")), "no storage"),
        (Call(print, "run"), "it names '__builtin__.print', which is no part of a tensor"),
        (Call(eval, "1"), "it names '__builtin__.eval'"),
        ({1.5: tensor()}, "keys that are neither texts nor whole numbers"),
        ({(): tensor()}, "keys that are neither texts nor whole numbers"),
        (b"bytes", "it names '_codecs.encode'"),
        ({1, 2}, "it names '__builtin__.set'"),
        (2**3000, "LONG4"),
        ([tensor(storage(4)), tensor(storage(4, kind=torch.LongStorage))], "is told in two ways"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(content: object, words: str) -> None:
    assert words in refused(zipped_file(described({"x": content})))


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", "it names 'os.system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "it names 'os.system'"),
        (b"\x80\x04\x8c\x02os\x85\x8c\x06system\x93.", "which is no part of a tensor"),
        (b"(S'true'\nios\nsystem\n.", "uses STRING"),
        (b"(ios\nsystem\n.", "uses INST"),
        (b"(cos\nsystem\no.", "it names 'os.system'"),
        (b"\x80\x02ctorch\nSize\n)\x81.", "uses NEWOBJ"),
        (b"\x82\x01.", "uses EXT1"),
        (b"I1\n.", "uses INT"),
        (b"P0\n.", "uses PERSID"),
        (b"\x80\x02K\x01K\x02R.", "calls something in an unknown way"),
        (b"\x80\x02ctorch.hub\nload\nK\x01R.", "calls something in an unknown way"),
        (b"\x80\x02K\x01Q.", "no storage"),
        (b"\x80\x02]K\x01K\x02s.", "adds to what nothing can be added to"),
        (b"\x80\x02}K\x01a.", "adds to what nothing can be added to"),
        (b"\x80\x02}(K\x01u.", "broken"),
        (b"\x80\x02]}b.", "gives attributes to what can have none"),
        (b"\x80\x02K\x01\x86.", "takes what is not there"),
        (b"\x80\x02(K\x01\x86.", "takes what is not there"),
        (b"\x80\x02t.", "takes what is not there"),
        (b"\x80\x02h\x01.", "broken"),
        (b"\x80\x02q\x01.", "broken"),
        (b"\x80\x02.", "broken"),
        (b"\x80\x02}", "broken"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "broken"),
        (b"\xff", "broken"),
        (b"", "broken"),
        (b"\x80\x02" + b")" + b"\x85" * 60_000 + b"Q.", "no storage"),
        (b"\x80\x02}" + b")" + b"\x85" * 60_000 + b"K\x01s.", "neither texts"),
        (b"\x80\x02" + b"]" * 120_000 + b".", "takes more than 100000 steps"),
        (b"\x80\x02" + b"(" * 80_000 + b"t" * 80_000 + b".", "takes more than 100000 steps"),
    ],
)  # fmt: skip
def test_programs_that_nobody_needs(description: bytes, words: str) -> None:
    for raw in (zipped_file(description), stream_file(description)):
        assert words in refused(raw)


def test_a_deep_shape_is_told_without_walking_through_it() -> None:
    deep: Any = ()
    for _ in range(50_000):
        deep = (deep,)
    rebuild = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    rebuild += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00)"
    assert refused(zipped_file(rebuild + b"\x85" * 50_000 + b")\x89}tR."))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (zipped_file(described({"x": tensor()}), byteorder=b"big"), "little-endian"),
        (zipped_file(described({"x": tensor()}))[:-30], "not a zip file"),
        (zipped_file(described({}), **{"deep/data.pkl": b""}), "'deep/data.pkl'"),
        (b"PK", "not a zip file"),
        (b"PK\1\2" * 20_001 + zipped_file(b""), "lists more than 20000 files"),
        (b"", "broken"),
        (pickle.dumps(MAGIC, 2) * 3, "does not begin as torch's files do"),
        (stream_file(described({"x": tensor()})), "no storage"),
    ],
)
def test_files_that_are_not_torchs(raw: bytes, words: str) -> None:
    if "deep" in words:
        assert read(raw)[0] == {}, "only the first folder counts"
    else:
        assert words in refused(raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": ("1",)}, "storages are not those of its tensors"),
        ({"keys": ()}, "storages are not those of its tensors"),
        ({"keys": ("0", "0")}, "another number of values"),
        ({"keys": {"0": 1}}, "storages are not those of its tensors"),
        ({"keys": (0,)}, "storages are not those of its tensors"),
        ({"keys": ([],)}, "storages are not those of its tensors"),
        ({"count": 5}, "another number of values"),
        ({"count": -1}, "another number of values"),
        ({"data": bytes(15)}, "the file at"),
        ({"data": b""}, "the file at"),
    ],
)
def test_storages_that_do_not_fit(change: dict[str, Any], words: str) -> None:
    content = described({"x": tensor(storage(4, "0", torch.FloatStorage, "storage", None))})
    assert arrays(stream_file(content))["x"].shape == (4,)
    assert words in refused(stream_file(content, **change))
    view = storage(4, "0", torch.FloatStorage, "storage", ("1", 0, 2))
    assert "a part of a storage" in refused(stream_file(described({"x": tensor(view)})))
    other = pickle.dumps({"little_endian": False}, 2)
    assert "little-endian" in refused(b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001)) + other)


def test_a_way_of_packing_that_torch_has_not() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("archive/data.pkl", described({}))
        archive.writestr("archive/more", np.random.default_rng(0).bytes(1000))
    assert "another kind" in refused(file.getvalue())


@FORMATS
@pytest.mark.parametrize("change", [lambda byte: byte ^ 0xFF, lambda byte: byte ^ 1, lambda byte: 0x52])
def test_any_damaged_byte_ends_well(zipped: bool, change: Callable[[int], int]) -> None:
    raw = saved(OrderedDict(x=torch.arange(6.0).reshape(2, 3), y=torch.tensor(3)), zipped)
    for place in range(len(raw)):
        damaged = raw[:place] + bytes([change(raw[place])]) + raw[place + 1 :]
        try:
            content, tensor = read(damaged)
            views = content.values() if isinstance(content, dict) else ()
            assert all(tensor(view).shape == view.shape for view in views if isinstance(view, TensorView))
        except BrokenError as error:
            assert "\n" not in str(error)


def test_a_description_beyond_all_measure_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = saved({"x": torch.zeros(2)}, True)
    monkeypatch.setattr(torch_checkpoint, "MAX_PICKLE_BYTES", 10)
    assert "more than 10 bytes" in refused(raw)
    monkeypatch.undo()
    monkeypatch.setattr(torch_pickle, "MAX_STEPS", 10)
    assert "more than 10 steps" in refused(raw)
