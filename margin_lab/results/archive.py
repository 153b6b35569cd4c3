"""The file of a result: NumPy's npz with the arrays, and one of them the JSON header that says what they are. No pickle."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.results.files import replace_file

FORMAT = 1
_HEADER = "margin_lab"
# dtypes that NumPy lacks are stored as the bytes they are
_BITS = {1: torch.uint8, 2: torch.int16}


def write_archive(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> Path:
    """Write named values: numbers, strings, arrays, tensors, and lists, dicts and dataclasses of them.

    Anything else (a function among the settings) becomes its text.
    """
    arrays: dict[str, np.ndarray] = {}
    header = {"format": FORMAT, "kind": kind, "content": _encode(dict(content), arrays)}
    text = np.frombuffer(json.dumps(header, allow_nan=False).encode(), dtype=np.uint8)
    stored: dict[str, Any] = {_HEADER: text, **arrays}
    return replace_file(path, lambda file: np.savez_compressed(file, **stored))


def read_archive(path: str | os.PathLike[str], parts: Mapping[str, type]) -> tuple[str, dict[str, Any]]:
    """The kind and the named values of a file; tensors come back as tensors, on the CPU.

    Args:
        path: of the file. parts: by name, the dataclasses that may be in it.

    Raises:
        ValueError: a file that is none of these, or one of a newer format.
    """
    with open(path, "rb") as file:
        try:
            stored = np.load(file, allow_pickle=False)
            names = list(getattr(stored, "files", ()))
            header = json.loads(stored[_HEADER].tobytes().decode()) if _HEADER in names else None
            arrays = {name: stored[name] for name in names if name != _HEADER}
        except Exception as error:
            raise ValueError(
                f"{path} is no file of a margin_lab result ({error}); name one that .save made"
            ) from None
    if header is None:
        raise ValueError(
            f"{path} is no file of a margin_lab result: it holds {', '.join(names[:5]) or 'one array'}; name one that .save made"
        )
    if header["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {header['format']}, and this version of margin_lab reads format {FORMAT}; install the "
            "version that wrote it"
        )
    content: dict[str, Any] = _decode(header["content"], arrays, parts)
    return header["kind"], content


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    def kept(array: np.ndarray) -> str:
        arrays[f"a{len(arrays)}"] = array
        return f"a{len(arrays) - 1}"

    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
    if isinstance(value, (np.generic, np.ndarray)):
        if value.dtype.hasobject:  # labels of any kind
            return {"is": "objects", "value": _encode(np.asarray(value).tolist(), arrays)}
        return {
            "is": "scalar" if isinstance(value, np.generic) else "array",
            "value": kept(np.asarray(value)),
        }
    if isinstance(value, Tensor):
        t = value.detach().cpu().contiguous()
        name = str(t.dtype).removeprefix("torch.")
        try:
            return {"is": "tensor", "dtype": name, "value": kept(t.numpy())}
        except TypeError:
            return {"is": "tensor", "dtype": name, "value": kept(t.view(_BITS[t.element_size()]).numpy())}
    if isinstance(value, (list, tuple)):
        items = [_encode(v, arrays) for v in value]
        return items if isinstance(value, list) else {"is": "tuple", "value": items}
    if isinstance(value, Mapping):
        return {"is": "dict", "value": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, "text": repr(value), "value": _encode(own, arrays)}
    return getattr(value, "__qualname__", None) or repr(value)


def _decode(tree: Any, arrays: Mapping[str, np.ndarray], parts: Mapping[str, type]) -> Any:
    if isinstance(tree, list):
        return [_decode(v, arrays, parts) for v in tree]
    if not isinstance(tree, dict):
        return tree
    what, value = tree["is"], tree["value"]
    if what == "float":
        return float(value)
    if what == "array":
        return arrays[value]
    if what == "objects":
        return np.array(_decode(value, arrays, parts), dtype=object)
    if what == "scalar":
        return arrays[value][()]
    if what == "tensor":
        t, dtype = torch.from_numpy(arrays[value]), getattr(torch, tree["dtype"])
        return t if t.dtype == dtype else t.view(dtype)
    if what == "tuple":
        return tuple(_decode(v, arrays, parts) for v in value)
    if what == "dict":
        return {_decode(k, arrays, parts): _decode(v, arrays, parts) for k, v in value}
    if what in parts:
        return parts[what](**_decode(value, arrays, parts))
    return tree["text"]
