"""How a process ended, as one small integer for a shared word, and as words for people.

`code` is what `os.waitstatus_to_exitcode` gives: the exit code, or minus the signal; None: nobody could find out.
"""

import signal

SIGNALLED, UNKNOWN = 256, 512


def encode(code: int | None) -> int:
    """The value of a POISON or EXIT word: 1 + exit code, 1 + 256 + signal, or 1 + 512.

    Examples
    --------
    >>> from nbgrad.group.status import decode, encode
    >>> [encode(code) for code in (0, 3, -9, None)]
    [1, 4, 266, 513]
    >>> [decode(encode(code)) for code in (0, 3, -9, None)]
    [0, 3, -9, None]
    """
    if code is None:
        return 1 + UNKNOWN
    return 1 + (code & 255 if code >= 0 else SIGNALLED - code)


def decode(word: int) -> int | None:
    """The exit code (minus the signal) that a word of `encode` stands for."""
    value = word - 1
    if value == UNKNOWN:
        return None
    return value if value < SIGNALLED else SIGNALLED - value


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe(code: int | None) -> str:
    """How it ended, as the end of the sentence "it ended with ...".

    Examples
    --------
    >>> from nbgrad.group.status import describe
    >>> describe(1), describe(-9), describe(None)
    ('exit code 1', 'signal SIGKILL', 'an exit status that nobody could read')
    """
    if code is None:
        return "an exit status that nobody could read"
    return f"exit code {code}" if code >= 0 else f"signal {signal_name(-code)}"


def hint(code: int | None) -> str:
    """What usually stands behind such an end; a sentence with a space before it, or nothing."""
    if code == -signal.SIGKILL:
        return " SIGKILL often means that the machine ran out of memory (see dmesg)."
    if code == -signal.SIGBUS:
        return " SIGBUS often means that shared memory ran out."
    if code == -signal.SIGSEGV:
        return " Its stacks are on its stderr."
    return ""
