"""Exit statuses."""

FAILED = 1  # it could not be done
USAGE = 2  # a bad argument
INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
PIPE_CLOSED = 141  # 128 + SIGPIPE
