"""Errors that a command prints in one line: those that an operator can mend."""

from zimun.auth.signing_keys import KeyStoreError
from zimun.config import ConfigError
from zimun.demo_env import DirectoryInUse
from zimun.domain.errors import ZimunError
from zimun.rpc.ports import PortTaken
from zimun.storage.database_errors import FAILURES, brief
from zimun.storage.distribute import NotDistributable
from zimun.storage.migrate import SchemaTooNew
from zimun.storage.postgresql.sessions import SharedSessions
from zimun.storage.sqlite.database_file import FileRefused
from zimun.telemetry.tracing import TracingMissing
from zimun.up import ChildDied
from zimun_gateway.envoy_process import EnvoyError

EXPECTED = (
    ZimunError,
    ConfigError,
    PortTaken,
    SchemaTooNew,
    NotDistributable,
    SharedSessions,
    KeyStoreError,
    EnvoyError,
    ChildDied,
    DirectoryInUse,
    FileRefused,
    TracingMissing,
)
"""Errors that an operator can mend."""


def explain(error: Exception) -> str | None:
    """One line about an error for operators; None where the error is a fault of this code."""
    if isinstance(error, EXPECTED):
        return str(error)
    # A fault of the machine, its disk or its database.
    return brief(error) if isinstance(error, FAILURES) else None
