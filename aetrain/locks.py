"""Locks on files, held while the file is open: the system releases them when the process dies. Imports no torch."""

from __future__ import annotations

import errno
import fcntl
import logging
import time

log = logging.getLogger(__name__)

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)  # of a file system that has none
PATIENCE = 1.0  # seconds: readers take a lock shared for an instant, to see whether someone writes


def take(file: int, name: str) -> bool:
    """Take a lock for oneself; False where another process keeps it. Where the file system has no locks, a warning is
    all that comes of it. file: a descriptor."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning(
                "%s: its file system has no locks (%s); make sure that no other process writes there",
                name, error.strerror,
            )  # fmt: skip
            return True


def wait_for(file: int) -> None:
    """Take a lock for oneself, however long others keep it. Where the file system has none, they are not waited for."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def is_held(file: int) -> bool:
    """Whether another process keeps a lock. It is taken shared, and given back at once."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
