"""A real browser for tests of the page, and everything it is not to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import HANGS

NAMES = ("chromium", "chromium-browser", "google-chrome")

# As root Chromium has no sandbox; without a graphics card WebGL is drawn by the processor.
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def find_chromium() -> str:
    """Path of the browser; skips the test where there is none."""
    found = os.environ.get("UNIGEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"no Chromium: set UNIGEN_CHROMIUM or install one of {', '.join(NAMES)}")
    pytest.importorskip("playwright", reason="playwright drives the browser: install the extra 'test'")
    return found


@contextmanager
def chromium() -> Iterator:
    """A running browser."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser, path: Path, **settings) -> Iterator:
    """A page of a file; when the block ends, nothing was asked of any other place and nothing went wrong in it."""
    trouble: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1000, "height": 500}, "accept_downloads": True} | settings)
    context.set_offline(True)
    page = context.new_page()
    page.set_default_timeout(HANGS * 1000)
    page.on("request", lambda asked: trouble.append(asked.url) if asked.url.startswith(("http", "ws", "ftp")) else None)
    page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.goto(path.absolute().as_uri())
    yield page
    context.close()
    assert not trouble
