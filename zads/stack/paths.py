"""Where the local stack keeps its things: one folder, `.stack`, beside zads.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zads.cache import folder as cache

__all__ = ["Paths", "cache", "here"]


@dataclass(frozen=True)
class Paths:
    """The stack's folders and files; `root` is the checkout."""

    root: Path

    @property
    def dir(self) -> Path:
        """All that the stack writes."""
        return self.root / ".stack"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.dir / "logs"

    @property
    def data(self) -> Path:
        """What survives a `make down`."""
        return self.dir / "data"

    @property
    def config(self) -> Path:
        """What is rendered for other programs."""
        return self.dir / "config"

    @property
    def secrets(self) -> Path:
        """Keys of the stand-ins, made anew for each stack."""
        return self.dir / "secrets"

    @property
    def site(self) -> Path:
        """zads.toml with the site moved to where it is night now: the copy that programs read and `apply` replaces."""
        return self.config / "zads.toml"

    @property
    def control(self) -> Path:
        """What trouble was asked for."""
        return self.dir / "control.json"

    @property
    def status(self) -> Path:
        """What the supervisor says of each component."""
        return self.dir / "status.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor while it lives."""
        return self.dir / "supervisor.lock"

    def make(self) -> None:
        """Create the folders; secrets are for this user only."""
        for folder in (self.logs, self.data, self.config, self.secrets):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.chmod(0o700)


def here() -> Paths:
    """Return the paths of the stack that belongs to the current folder."""
    return Paths(Path.cwd())
