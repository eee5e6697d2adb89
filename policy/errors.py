"""The errors a user can cause and mend: a script shows them as one sentence, without a traceback, and exits with 1."""

from __future__ import annotations

from omegaconf.errors import OmegaConfBaseException

from languages import LanguageError
from policy.chat import EndpointError
from policy.checkpoint import CheckpointError
from policy.choice import ConfigError
from policy.model import ModelError
from policy.run_folder import RunError
from policy.update import SamplerGapError, UpdateError
from problems.problem import DataError
from sandbox.job import JobError, SandboxError
from sandbox.rootfs import RootfsError

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
