"""The errors that a user can cause and mend: scripts show them as one sentence and exit with 1.

Every room's own errors derive from `UserError`, so that a script needs to know no other name. With `debug=true`, or
AGNOSTICS_DEBUG=1 in the environment, the traceback is shown too (base/script.py).
"""

from __future__ import annotations


class UserError(Exception):
    """Something to be mended by whoever runs the program. The message is one sentence: what is wrong and what to do."""


class ConfigError(UserError, ValueError):
    """A config value that cannot be used. The message names the key and the valid choices."""


class DataError(UserError):
    """A data file that cannot be used. The message names the file and the row."""


class RunError(UserError):
    """A run or an evaluation that cannot start or go on. The message names the folder and what to do."""


class Interrupted(RunError):
    """The user stopped the program. The message says what is kept and how to go on."""


class ModelError(UserError):
    """A model that cannot be used. The message names the config key and what to do."""


class CheckpointError(UserError):
    """A checkpoint that cannot be written or read. The message names the folder and the cause."""


class UpdateError(UserError):
    """An update that cannot be made. The message says what to change."""


class SamplerGapError(UserError):
    """Sampler and trainer hold different policies. The message says what to look at."""
