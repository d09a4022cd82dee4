"""What can be wrong with what a user gives us, told in one sentence."""


class InputError(ValueError):
    """The user's input is wrong: the message names the place, the value and the remedy (exit code 2)."""


class StaleDataError(InputError):
    """The days before `as_of` are improbably thin: a late load, most likely."""
