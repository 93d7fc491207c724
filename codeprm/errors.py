"""Everything codeprm raises on purpose.

    CodeprmError
    |-- UserError            the reader can mend it: printed alone, exit code 2
    |   |-- DataError        a file, a row or a directory is not what was asked for
    |   |-- ConfigError      a flag or a recipe value does not make sense
    |   `-- MissingError     a package, a device or a kernel feature is missing
    |-- BackendError         a text generation engine failed on one request
    `-- SandboxError         running a program failed through our fault, not the program's

A program that fails is data (an `Outcome`), never an exception. Anything that is not a
`UserError` is our own bug: it keeps its traceback and ends with exit code 1.
"""


class CodeprmError(Exception):
    """Base of the tree."""


class UserError(CodeprmError):
    """One sentence: what, where, what to do next."""


class DataError(UserError):
    """Input that cannot be read as what it claims to be."""


class ConfigError(UserError):
    """Flags or recipe values that do not fit together."""


class MissingError(UserError):
    """Something that must be installed or switched on is not there."""


class BackendError(CodeprmError):
    """A generation engine could not answer one request; the row is rejected with this text."""


class SandboxError(CodeprmError):
    """Our side of an execution failed; the run is retried and never becomes a label."""
