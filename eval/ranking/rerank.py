"""Rank the candidates of a run once more in another way, and draw none: rows of one table that differ by ranker alone.

unigen generate crystal --requests test.csv --candidates 20 --rank-by energy --n 1 --out test-energy ...
python eval/ranking/rerank.py test-energy --first 500 --potential 7net-0 --out test-7net
python eval/ranking/rerank.py test-energy --first 100 --relax 4 --ranked test-energy/ranking --out test-relaxed
unigen evaluate crystals test-7net --reference mp-20:test --only-sampled

The folder is one of a ranked run: ``candidates/``, ``ranking/`` (an interrupted one is gone on with), ``ranking.csv``,
the first answers.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import yaml

from unigen.journal import line_text, read_lines
from unigen.models.generator import Generator
from unigen.parallel import Workers
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.folder import JOURNAL, RUN
from unigen.runs.generation import RunSettings
from unigen.runs.ranking import CANDIDATES, RATINGS, write_ranked
from unigen.sample.rank import by_request, open_ranker


def main() -> None:
    """Rank, and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run that has candidates/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, help="so many requests; by default all")
    parser.add_argument("--potential")
    parser.add_argument("--relax", type=int, default=0, help="so many of the best are relaxed and ranked again")
    parser.add_argument("--ranked", type=Path, help="ranking/ of a run whose energies by this potential are used")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    made: dict[str, Any] = yaml.safe_load((options.run / RUN).read_text(encoding="utf-8"))
    requests = [CrystalRequest(**request) for request in made["requests"]][: options.first]
    rows = [row for row in read_lines(options.run / CANDIDATES / JOURNAL) if row["request_index"] < len(requests)]
    rows.sort(key=lambda row: (row["request_index"], row["index"]))
    candidates = CrystalFolder(options.out / CANDIDATES)
    candidates.path.mkdir(parents=True, exist_ok=True)
    (candidates.path / JOURNAL).write_text("".join(map(line_text, rows)), encoding="utf-8")
    if options.ranked and not (options.out / RATINGS).exists():
        shutil.copytree(options.ranked, options.out / RATINGS)

    groups = by_request(candidates.sample_of(row, requests[row["request_index"]]) for row in rows)
    settings = RankSettings(
        candidates=max(map(len, groups)), by="energy", potential=options.potential, relax=options.relax
    )
    generator: Generator = RunSettings(model=made["model"], retrieve_from=made.get("retrieve_from")).load("crystals")
    ranker = open_ranker(settings, generator, requests)
    folder = CrystalFolder(options.out)
    with Workers(options.workers, progress=True) as pool:
        write_ranked(folder, groups, ranker, 1, pool)
    made |= {"requests": made["requests"][: len(requests)], "ranking": ranker.facts() | {"relax": options.relax}}
    (options.out / RUN).write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
