"""What the tokens of a sequence are, in a few letters each, for those who look at it."""

from __future__ import annotations

from string import ascii_lowercase

from unigen.elements import SYMBOLS
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel, Sequence

_CONTROL = {
    vocabulary.BEGIN: "begin",
    vocabulary.END: "end",
    vocabulary.COPY: "copy",
    vocabulary.NEW: "new",
}
_SLOTS = {Channel.LATTICE: "cell", Channel.PROPERTY: "property"}


def token_labels(sequence: Sequence) -> list[str]:
    """A text a token: ``begin Na 1 Cl 1 end new 225 a b cell``; a slot of an atom is ``Na·``.

    A Wyckoff letter stands as it is, a space group by its number with a ``#`` before it.
    """
    return [
        _label(symbol, Channel(channel), number)
        for symbol, channel, number in zip(
            sequence.symbols.tolist(), sequence.channel.tolist(), sequence.descriptor[:, 0].tolist(), strict=True
        )
    ]


def _label(symbol: int, channel: Channel, number: int) -> str:
    if symbol == vocabulary.SLOT:
        return _SLOTS.get(channel) or f"{SYMBOLS[number] if number else 'atom'}·"
    element, group, letter = (of(symbol) for of in (vocabulary.element_of, vocabulary.group_of, vocabulary.letter_of))
    if element is not None:
        return SYMBOLS[element]
    if group is not None:
        return f"#{group}"
    if letter is not None:
        return f"{ascii_lowercase}A"[letter]
    count = vocabulary.count_of(symbol)
    return _CONTROL.get(symbol) or vocabulary.mark_of(symbol) or f"{count or ''}"
