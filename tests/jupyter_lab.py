"""A private JupyterLab for the live tests: own folders, own token, no network needed, stopped at the end."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent

# The front end's questions about news would cover the page and ask the network.
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells."""
    code = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": cell,
        }
        for i, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Run ``jupyter lab`` on ``folder``; yields the address of a notebook there as a template with ``{name}``."""
    config = folder / "config"
    (config / "labconfig").mkdir(parents=True)
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(_SETTINGS))
    notebooks = folder / "notebooks"
    notebooks.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("MARGIN_LAB_STATIC", None)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.root_dir": notebooks,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": token,
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{k}={v}" for k, v in options.items())]
    with (folder / "lab.log").open("w") as log:
        # A group of its own, so that the kernels end with it.
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/api?token={token}", server, folder / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/{{name}}?token={token}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(timeout=4)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def run_cells(page: Page, count: int, seconds: float = 240, patience: float = 45) -> None:
    """Run the first ``count`` cells of the open notebook; returns when the kernel has finished them.

    While the kernel is still connecting, JupyterLab may refuse to run a cell, with a dialog, or lose the request: then ask
    again, for ``seconds`` in all. ``patience``: seconds that an accepted request has for its first answer.
    """
    prompts = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt")
    answered, waiting = (prompts.filter(has_text=re.compile(pattern)) for pattern in (r"\[\d+\]", r"\[\*\]"))
    limit = time.monotonic() + seconds
    # a dialog may also swallow the last requests only, so all are asked for again until all have been answered
    while answered.count() < count and time.monotonic() < limit:
        for button in page.locator(".jp-Dialog button.jp-mod-accept").all():
            button.click()
        page.locator(".jp-Notebook .jp-CodeCell").first.click()
        for _ in range(count):
            page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1000)
        end = time.monotonic() + (patience if waiting.count() else 0)
        while answered.count() == 0 and time.monotonic() < end:
            page.wait_for_timeout(200)
        while waiting.count() and time.monotonic() < limit:
            page.wait_for_timeout(200)
    assert answered.count() >= count, f"within {seconds} s the kernel has not run the {count} cells"
