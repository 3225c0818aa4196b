"""The ways in which a command ends short, each with the exit code that the shell sees.

Anything else that is raised is a bug and shows a traceback.
"""

import signal

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}  # of what a signal ends


class AetrainError(Exception):
    """Reported as one line on stderr, without a traceback."""

    exit_code = 1


class UserError(AetrainError):
    """A mistake that the user can mend: the line says what, where and how."""

    exit_code = 2


class RunFailed(AetrainError):
    """The run itself failed: diverged, disk full, out of memory."""

    exit_code = 1


class Interrupted(KeyboardInterrupt):
    """A signal ended the run after its checkpoint was written. No Exception, so that it ends a whole sweep and not
    just the member that it meets."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
