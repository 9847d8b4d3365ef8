"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

PotentialName = Annotated[
    str, typer.Option(help="chgnet, chgnet-r2scan, 7net-0, 7net-l3i5, or an ASE calculator package.module:Class.")
]
Scheme = Annotated[str | None, typer.Option(help="Of the energies: MP2020, MP-uncorrected, r2SCAN, OQMD, ...")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes of one thread; by default one a core.")]
Device = Annotated[str, typer.Option(help="Of torch: cpu, cuda.")]
Batch = Annotated[
    int | None,
    typer.Option(min=1, help="Structures computed together, by CHGNet or SevenNet; 64 on a GPU, else 1."),
]
Wavelength = Annotated[
    str | None,
    typer.Option(help="Angstrom, or CuKa1, MoKa, ...", show_default="what the file says, else Cu K-alpha"),
]
Axis = Annotated[Literal["2theta", "q", "d"] | None, typer.Option(help="First column; default: by its heading.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="Files of each crystal: cif, cif-p1, poscar, vasp (inputs), extxyz.", show_default="cif,extxyz"
    ),
]
