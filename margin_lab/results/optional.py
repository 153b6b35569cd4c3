"""Packages that a result needs only where its method is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(module: str, use: str) -> Any:
    """Import a module, or say what it is for and how to get it.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{use} needs {package}, which cannot be imported here ({error}); install it: pip install {package}"
        ) from None
