"""Wall seconds until a page of 500 structures is open in a real browser, against an empty page.

python eval/speed/page.py

The page is ``report.html`` of a run by the bundled model. Headless Chromium, each page in a browser of its own, the
processor drawing in place of a graphics card. "open": from the start of the navigation until the first cards stand on
the screen and the page answers. "pictures": until everything in the window is drawn. "filter": a filter of all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from measurement import circumstances, write
from playwright.sync_api import Playwright, sync_playwright

from unigen.report.generation_page import write_run_page
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.generation import RunSettings, run_generation
from unigen.runs.molecule_files import MoleculeFolder

ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NAMES = ("chromium", "chromium-browser", "google-chrome")
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now() / 1000))))"
DRAWN = """() => new Promise((done) => {
  const inside = (box) => box.bottom > 0 && box.top < innerHeight;
  const look = () => {
    const pictures = [...document.querySelectorAll(".picture")].filter((each) => inside(each.getBoundingClientRect()));
    if (pictures.every((each) => each.firstChild)) done(performance.now() / 1000);
    else setTimeout(look, 20);
  };
  look();
})"""
FILTER = """() => {
  const started = performance.now();
  const field = document.querySelector("#filter-fields input");
  field.value = field.placeholder;
  field.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  return (performance.now() - started) / 1000;
}"""


def opened(driver: Playwright, browser_path: str, page_path: Path, *, full: bool) -> dict[str, float]:
    """Seconds of one page in a new browser."""
    browser = driver.chromium.launch(executable_path=browser_path, args=list(ARGUMENTS))
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(page_path.as_uri(), wait_until="load")
    found = {"open": page.evaluate(PAINTED)}
    if full:
        page.evaluate("() => document.getElementById('structures').scrollIntoView()")
        found |= {"pictures": page.evaluate(DRAWN), "filter": page.evaluate(FILTER)}
    browser.close()
    return found


def make_runs(folder: Path, count: int) -> dict[str, Path]:
    """A run folder of each kind."""
    of_molecules = RunSettings(n=count, model="unigen-molecule-small", batch_size=256)
    rows = {
        "crystals": run_generation([CrystalRequest()], CrystalFolder(folder / "crystals"), RunSettings(n=count)),
        "molecules": run_generation([MoleculeRequest()], MoleculeFolder(folder / "molecules"), of_molecules),
    }
    pages = {}
    for kind, made in rows.items():
        started = time.process_time()
        pages[kind] = write_run_page(folder / kind, made, kind)
        seconds, size = time.process_time() - started, pages[kind].stat().st_size
        print(f"{kind:12s} written in {seconds:.2f} CPU-s, {size / 1e6:.2f} MB")
    return pages


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="structures a page")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    path = os.environ.get("UNIGEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)))
    facts = circumstances(threads=None)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        pages = make_runs(folder, options.n)
        (folder / "empty.html").write_text("<!doctype html><title>empty</title>")
        for kind, page in {"empty page": folder / "empty.html", **pages}.items():
            runs = [opened(driver, path, page, full=kind in pages) for _ in range(options.runs)]
            found[kind] = {each: round(statistics.median(run[each] for run in runs), 3) for each in runs[0]}
            print(f"{kind:12s}", "  ".join(f"{each} {value:.2f} s" for each, value in found[kind].items()))
        sizes = {kind: page.stat().st_size for kind, page in pages.items()}
    write("page", facts | {"structures": options.n, "runs": options.runs, "bytes": sizes, "seconds": found})


if __name__ == "__main__":
    main()
