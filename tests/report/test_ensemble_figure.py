"""The picture of an ensemble: all conformers that are kept, those left out, and nothing of a single one."""

from __future__ import annotations

from unigen.report.ensemble_page import MOST_FIGURES, ensemble_figures
from unigen.report.figures.ensemble import ensemble_figure


def test_what_is_drawn_is_said_in_words():
    figure = ensemble_figure("CCCO", [(0.0, 0.75), (0.7, 0.25)], [0.1, 0.2, 40.0], "MMFF94")
    assert figure.svg.startswith("<svg")
    assert "2 kept, up to 0.7 kcal/mol above the lowest, weights 75.0, 25.0 %; 3 left out." in figure.text
    assert "MMFF94" in figure.text
    assert "at the edge: 1" in figure.svg
    assert ensemble_figure("CCCO", [(0.0, 1.0)], [], "MMFF94") is None
    assert ensemble_figure("CCCO", [(0.0, 1.0)], [0.0], "MMFF94") is not None


def test_each_molecule_has_its_own_up_to_a_dozen():
    pair = [{"relative_energy_kcal_mol": 0.0, "boltzmann_weight": 1.0}, {"relative_energy_kcal_mol": 1.0}]
    told = [(f"molecule {number}", each) for number in range(20) for each in pair]
    figures = ensemble_figures([*told, ("failed", {})], "GFN2-xTB")
    assert [figure.title for figure in figures] == [f"Energies of molecule {n}" for n in range(MOST_FIGURES)]
