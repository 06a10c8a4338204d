"""What a model is built from: a folder of a repository, or what a client gave in its place."""

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.errors import ServeError
from npuserve.repository.dependencies import steps_of
from npuserve.repository.loading import ModelLoader
from npuserve.repository.overrides import LoadOverride, poll_failure, write_files
from npuserve.repository.scan import Fingerprint, ModelDirectory, find_model, fingerprint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model's folder as it was when its config was read.

    override: what was given in place of the folder's config, or of the whole folder.
    scratch: the temporary folder that stands for the repository's; None if `directory` is in the repository.
    """

    directory: ModelDirectory
    fingerprint: Fingerprint
    config: ModelConfig
    override: LoadOverride | None = None
    scratch: "tempfile.TemporaryDirectory[str] | None" = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.directory.name

    @property
    def steps(self) -> frozenset[str]:
        """The models that it needs."""
        return steps_of(self.config)

    def is_same_as(self, other: "ModelSource") -> bool:
        """Say whether a model built from the other is the same; what a client gives is always new."""
        return (
            self.override is None
            and other.scratch is None
            and self.directory == other.directory
            and self.fingerprint == other.fingerprint
            and self.config == other.config
        )

    def same_versions(self, other: "ModelSource") -> frozenset[int]:
        """Return the versions that would be built anew from the very same files and config."""
        if (
            self.override is not None
            or other.scratch is not None
            or self.directory.path != other.directory.path
            or self.fingerprint.shared != other.fingerprint.shared
            or _without_policy(self.config) != _without_policy(other.config)
        ):
            return frozenset()
        ours, theirs = self.fingerprint.versions, other.fingerprint.versions
        return frozenset(version for version in ours if ours[version] == theirs.get(version))

    async def discard(self) -> None:
        """Remove the temporary folder, if there is one. Everything that was built from it must be closed."""
        if self.scratch is not None:
            await asyncio.to_thread(self.scratch.cleanup)


def _without_policy(config: ModelConfig) -> ModelConfig:
    copy = ModelConfig()
    copy.CopyFrom(config)
    copy.ClearField("version_policy")
    return copy


class SourceReader:
    """Reads models' folders. What it does blocks on the disk: it is called in threads.

    config_name: as in ModelDirectory.
    """

    def __init__(self, loader: ModelLoader, config_name: str = "") -> None:
        self._loader = loader
        self._config_name = config_name

    def read(self, directory: ModelDirectory, override: LoadOverride | None = None) -> ModelSource:
        """Read a folder's config, or the one that takes its place. Raises ServeError, OSError."""
        seen = fingerprint(directory)
        config = self._loader.read_config(directory, override.config if override else None)
        return ModelSource(directory, seen, config, override)

    def find(
        self,
        repositories: Sequence[Path],
        name: str,
        override: LoadOverride | None = None,
        serving: ModelSource | None = None,
    ) -> ModelSource:
        """Find a model's one folder, unless the override brings the files, and read it.

        serving: what the model was built from: its config's override stays until the folder changes.
        Raises ServeError: INTERNAL, the reason being logged.
        """
        try:
            if override is not None and override.files:
                return self._write(name, override)
            directory = find_model(repositories, name, self._config_name)
            if directory is None:
                raise poll_failure(name)
            if override is None and serving is not None and _stays(serving, directory):
                return serving
            return self.read(directory, override)
        except (ServeError, OSError) as error:
            _log.error("Poll failed for model directory '%s': %s", name, error)
            raise poll_failure(name) from error

    def _write(self, name: str, override: LoadOverride) -> ModelSource:
        scratch = tempfile.TemporaryDirectory(prefix="npuserve-model-")
        try:
            folder = Path(scratch.name) / name
            folder.mkdir()
            write_files(override.files, folder)
            directory = find_model([Path(scratch.name)], name, self._config_name)
            if directory is None:
                raise poll_failure(name)
            source = self.read(directory, override)
        except BaseException:
            scratch.cleanup()
            raise
        return ModelSource(source.directory, source.fingerprint, source.config, override, scratch)


def _stays(serving: ModelSource, directory: ModelDirectory) -> bool:
    """Say whether an override of the config holds on: the folder is as it was when the override came."""
    return (
        serving.override is not None
        and serving.scratch is None
        and serving.directory == directory
        and serving.fingerprint == fingerprint(directory)
    )
