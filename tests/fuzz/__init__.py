"""Files gone wrong in every way we know, and what must not come of them: a traceback, a hang, another structure."""
