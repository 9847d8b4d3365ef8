"""The tutorials run from top to bottom, and a structure in a notebook is a picture that turns."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import unigen as ug
from tests.crystals.real_crystals import prototypes
from tests.report.chromium import chromium, opened
from unigen.api.samples import Samples
from unigen.api.structures import samples_of

TUTORIALS = Path(__file__).resolve().parents[2] / "models/tutorials"
HANGS = 3600


@pytest.mark.parametrize("name", ["crystals", "molecules"])
def test_a_tutorial_runs_and_gives_what_it_shows(tmp_path, monkeypatch, name):
    root = str(TUTORIALS.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    written = nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)
    run = nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)
    nbformat.validate(written)
    NotebookClient(run, timeout=HANGS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = 0
    for shown, made in zip(written.cells, run.cells, strict=True):
        if shown.cell_type != "code":
            continue
        kinds = [
            [output.output_type for output in cell.outputs if output.get("name") != "stderr"] for cell in (shown, made)
        ]
        assert kinds[0] == kinds[1], made.source
        assert not any("Warning" in output.get("text", "") for output in made.outputs), made.outputs
        pictures += any("<iframe" in output.get("data", {}).get("text/html", "") for output in made.outputs)
    assert pictures >= 1


def test_pictures_are_one_frame_that_loads_nothing_and_lets_no_text_out():
    name = '"><script>alert(1)</script>'
    crystal = prototypes(1)[0]
    sample = samples_of(crystal)[0][0]
    strange = Samples([type(sample)(**{**vars(sample), "source": {"formula": name, "id": name}})])
    for html in (crystal._repr_html_(), sample._repr_html_(), strange._repr_html_()):
        assert html.count("<iframe") == 1
        assert "<script" not in html
        assert "http" not in html.split("packed")[0]
        assert len(html) < 400_000
    assert crystal._repr_html_() == crystal._repr_html_()


def test_failures_stand_below_the_list_and_alone_they_are_a_line():
    made = samples_of(prototypes(1)[0])[0][0]
    failed = type(made)(**{**vars(made), "structure": None, "reason": "drawn <five> times"})
    assert "1 failed; the first: drawn &lt;five&gt; times" in Samples([failed])._repr_html_()
    assert "1 failed" in Samples([made, failed])._repr_html_()


@pytest.mark.slow
def test_the_picture_in_a_browser(tmp_path):
    aspirin = ug.Molecule.from_smiles("CC(=O)Oc1ccccc1C(=O)O")
    samples = samples_of(list(prototypes(3)))[0]
    for name, html in {"one": aspirin._repr_html_(), "many": samples._repr_html_()}.items():
        (tmp_path / f"{name}.html").write_text(f"<!doctype html><meta charset=utf-8>{html}")
    with chromium() as browser:
        for name in ("one", "many"):
            with opened(browser, tmp_path / f"{name}.html") as page:
                frame = page.frame_locator("iframe")
                frame.locator("#stage canvas").first.wait_for()
                before = frame.locator("#stage").screenshot()
                assert len(np.unique(np.frombuffer(before, dtype=np.uint8))) > 100
                if name == "many":
                    frame.locator("#rows button").nth(2).click()
                    assert frame.locator("#rows tr").nth(2).get_attribute("aria-selected") == "true"
                    assert frame.locator("#stage").screenshot() != before
                else:
                    assert "C9H8O4" in frame.locator("#caption").inner_text().replace("\n", "")
                    box = page.locator("iframe").bounding_box()
                    page.mouse.move(box["x"] + 130, box["y"] + 130)
                    page.mouse.down()
                    page.mouse.move(box["x"] + 200, box["y"] + 160, steps=4)
                    page.mouse.up()
                    assert frame.locator("#stage").screenshot() != before
