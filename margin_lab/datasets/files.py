"""Where data files come from: the folder in ``MARGIN_LAB_DATA``, else one download, checked by hash and cached."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from margin_lab.checks import needs

VARIABLE = "MARGIN_LAB_DATA"
# Seconds to wait for a server; without a network the digits are there at once.
_PATIENCE = 10


def local_folder(name: str) -> Path | None:
    """``$MARGIN_LAB_DATA/name`` if there is one.

    Raises:
        ValueError: the variable names no folder.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise ValueError(f"{VARIABLE} must name a folder, got {value!r}; unset it to download instead")
    folder = root / name
    return folder if folder.is_dir() else None


@functools.cache
def download(file: str, known_hash: str, servers: Sequence[str]) -> Path | None:
    """The cached file, downloaded from the first server that has it with this hash; None without a network.

    ``known_hash`` is pooch's: ``"sha256:..."`` or ``"md5:..."``. The cache is the user's own, pooch's ``os_cache``. A failure
    is remembered, so that one process waits for the network only once.
    """
    pooch = needs("pooch", "pooch", f"the download of {file}")
    # Its log would appear as an error in a notebook.
    pooch.get_logger().setLevel("ERROR")
    for server in servers:
        try:
            return Path(
                pooch.retrieve(
                    server + file,
                    known_hash,
                    fname=file,
                    path=pooch.os_cache("margin-lab"),
                    downloader=pooch.HTTPDownloader(timeout=_PATIENCE),
                )
            )
        # requests' errors are OSErrors; a wrong hash is a ValueError, and the next server may have the right file.
        except (OSError, ValueError):
            continue
    return None
