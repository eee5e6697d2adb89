"""The errors a user can cause and mend: a script shows them as one sentence, without a traceback, and exits with 1.

Those of the modules that need torch are defined here: a script that asks an endpoint says what is wrong without it.
"""

from __future__ import annotations

from omegaconf.errors import OmegaConfBaseException

from languages import LanguageError
from policy.chat import EndpointError
from policy.choice import ConfigError
from policy.run_folder import RunError
from problems.problem import DataError
from sandbox.job import JobError, SandboxError
from sandbox.rootfs import RootfsError


class ModelError(Exception):
    """A model that cannot be used. The message is one sentence that names the config key and what to do."""


class CheckpointError(Exception):
    """A checkpoint that could not be written or read. The message is one sentence naming the folder and the cause."""


class SamplerGapError(Exception):
    """Sampler and trainer hold different policies. The message is one sentence that says what to look at."""


class UpdateError(Exception):
    """An update that cannot be made. The message is one sentence that says what to change."""


ERRORS = (
    ConfigError,
    LanguageError,
    DataError,
    ModelError,
    EndpointError,
    RunError,
    CheckpointError,
    SamplerGapError,
    UpdateError,
    SandboxError,
    JobError,
    RootfsError,
    OmegaConfBaseException,
)
