"""Put a model among the user's own: whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rtsep.errors import ModelError
from rtsep.model.store import EMBEDDED, JSON_NAME, PLAIN_NAME, StoredModel, find, user_folder


def check_name(name: str) -> None:
    """Check that a model of the user's can have this name.

    Raises:
        ModelError: where it is not plain, or belongs to something else.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise ModelError(
            f"model name {name!r:.200} is not plain: letters, digits, '.', '_' and '-' are allowed; give another name"
        )
    if (EMBEDDED / name).exists():
        raise ModelError(f"model name {name!r} belongs to a model that comes with rtsep; give another name")
    target = user_folder() / name
    if target.exists() and not (target / JSON_NAME).is_file():
        raise ModelError(f"{target} is there already and is no model; give another name, or move it away")


def install(name: str, write: Callable[[Path], object], origin: Mapping[str, str] | None = None) -> StoredModel:
    """Let a function fill a new folder, verify it, and make it one of the user's models.

    An older model of that name is replaced only after the new one was found whole.

    Args:
        name: of the new model.
        write: gets the folder, and writes the model into it.
        origin: what model.json is to say of where it comes from, as `identify_release` gives it; None for nothing.

    Raises:
        ModelError: for a name that is not free, a model that is not whole, or a folder that cannot be written to.
    """
    check_name(name)
    root = user_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        # a sibling, so that the last step is a rename; no model's name begins with a dot
        with tempfile.TemporaryDirectory(prefix=".new-", dir=root, ignore_cleanup_errors=True) as temporary:
            fresh, old, target = Path(temporary, name), Path(temporary, "old"), root / name
            write(fresh)
            if origin:
                _note(fresh / JSON_NAME, origin)
            find(fresh)
            replaces = target.exists()
            if replaces:
                target.rename(old)
            try:
                fresh.rename(target)
            except OSError:
                if replaces:
                    old.rename(target)
                raise
    except OSError as error:
        raise ModelError(f"{root / name} cannot be written ({error.strerror or error})") from error
    return find(name)


def _note(path: Path, origin: Mapping[str, str]) -> None:
    entries = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**entries, "origin": dict(origin)}, indent=2) + "\n", encoding="utf-8")
