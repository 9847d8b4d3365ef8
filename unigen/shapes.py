"""Array and tensor annotations with named axes; plain types where jaxtyping is absent (a bare GPU node).

Axis names used everywhere: ``crystals``, ``molecules``, ``atoms``, ``bonds`` (of one structure), ``sites``, ``links``
(atoms, bonds of all structures, concatenated), ``batch``, ``tokens``, ``slots``, ``width``. Rows of every
``lattice (3, 3)`` are the lattice vectors in Angstrom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Complex, Float, Int, Integer, UInt8
else:
    try:
        from jaxtyping import Bool, Complex, Float, Int, Integer, UInt8
    except ModuleNotFoundError:  # annotations are then documentation only

        class _Unchecked:
            def __class_getitem__(cls, item: tuple[type, str]) -> type:
                return item[0]

        Bool = Complex = Float = Int = Integer = UInt8 = _Unchecked

__all__ = ["Bool", "Complex", "Float", "Int", "Integer", "UInt8"]
