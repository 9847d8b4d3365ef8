"""Shapes and types are checked in every call while the tests run; hypothesis keeps no clock."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("unigen", "beartype.beartype")

settings.register_profile("unigen", deadline=None, max_examples=50)
settings.load_profile("unigen")
