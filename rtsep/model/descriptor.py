"""What a user may call a model: a name, a path, or a Spleeter JSON with the checkpoint that it describes.

What Spleeter itself would find under a name, in the folder MODEL_PATH, is found too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from rtsep.errors import ModelError
from rtsep.model.published.downloads import own_checkpoint
from rtsep.model.published.registry import FINETUNE, SPLEETER, store_name
from rtsep.model.store import StoredModel, find, names, user_folder


def resolve(descriptor: str | Path, checkpoint: Path | None = None) -> StoredModel:
    """Find a model; a checkpoint that Spleeter would take is imported where that was not done before.

    Args:
        descriptor: what `store.find` takes, or the path of a Spleeter JSON.
        checkpoint: the folder or prefix that belongs to the JSON; None for where the JSON's own `model_dir` says, from
            the folder of the JSON.

    Raises:
        ModelError: for a model that is missing, altered or broken, and for a checkpoint without its JSON.
    """
    path = Path(descriptor)
    if path.suffix == ".json" and path.is_file():
        from rtsep.model.importers.spleeter_config import read_json

        entries = read_json(path)
        if "instrument_list" in entries:
            return _described(path, checkpoint or path.parent / str(entries.get("model_dir", ".")))
    if checkpoint is not None:
        raise ModelError(f"a checkpoint needs the Spleeter JSON that describes it; {descriptor} is none")
    try:
        return find(descriptor)
    except ModelError:
        folder = _spleeters_own(str(descriptor))
        if folder is None:
            raise
    from rtsep.model.importers.spleeter import import_spleeter

    name = str(descriptor)
    return import_spleeter(folder, store_name(name), name)


def _spleeters_own(name: str) -> Path | None:
    """Give the checkpoint in MODEL_PATH that Spleeter would take for a name of its own; None where there is none."""
    if name not in (*SPLEETER, *FINETUNE) or (user_folder() / store_name(name)).exists():
        return None  # not Spleeter's, or imported once and broken since
    return own_checkpoint(SPLEETER.get(name) or name.partition(":")[2])


def _described(path: Path, folder: Path) -> StoredModel:
    from rtsep.model.importers.spleeter import import_spleeter
    from rtsep.model.importers.tf_checkpoint import INDEX, find_prefix

    prefix = find_prefix(folder)
    # the index holds the checksum of every tensor, so the two files say all that there is to know
    index = prefix.with_name(prefix.name + INDEX)
    known = hashlib.sha256(path.read_bytes() + index.read_bytes()).hexdigest()[:12]
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.stem)[:40].strip("-")
    name = f"{plain or 'model'}-{known}"
    return find(name) if name in names() else import_spleeter(prefix, name, path)
