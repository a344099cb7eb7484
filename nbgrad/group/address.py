"""Address: what names a group, and who a worker is in it, from `init_method`, the environment and `spawn`.

    tcp://host:port, env:// (MASTER_ADDR and MASTER_PORT)    one name: host:port; no port is opened
    file:///path                                             one name: the path; no file is made
    anything without ://                                     a name

`?rank=0&world_size=2` at the end says who the worker is, and is no part of the name.
"""

import os
from typing import NamedTuple

from nbgrad.errors import StartupError
from nbgrad.group.place import birthplace

LOOPBACK = ("localhost", "::1")  # all workers are on one machine: these are 127.0.0.1


class Parts(NamedTuple):
    """Of scheme://place?query (urllib's is not used: each helper process of a group would load it)."""

    scheme: str
    place: str
    query: dict[str, str]


def split(init_method: str) -> Parts:
    """The parts of a URL, checked.

    Raises
    ------
    StartupError
        If its scheme is none of the three.
    ValueError
        If it is no text, or port or path are missing.
    """
    if not isinstance(init_method, str):
        raise ValueError(f"init_method must be a string, got {init_method!r}")
    scheme, separator, rest = init_method.partition("://")
    if not separator:
        return Parts("", init_method, {})
    if scheme not in ("env", "tcp", "file"):
        raise StartupError(
            f"No rendezvous handler for {scheme}:// (init_method {init_method!r}): groups are named by env://, "
            f"tcp://host:port, file:///path, or any text without ://"
        )
    where, _, query = rest.partition("?")
    host, slash, path = where.partition("/")
    missing = {"tcp": "" if ends(host)[1] else "port number", "file": "" if path else "path"}
    if missing.get(scheme):
        raise ValueError(
            f"Error initializing nbgrad.distributed using {scheme}:// rendezvous: {missing[scheme]} missing in {init_method!r}"
        )
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return Parts(scheme, host if scheme == "tcp" else slash + path, {k: v for k, _, v in pairs})


def key_of(init_method: str | None) -> str | None:
    """What names the group; None if nothing does.

    Examples
    --------
    >>> from nbgrad.group.address import key_of
    >>> key_of("tcp://localhost:29500?rank=1&world_size=2")
    '127.0.0.1:29500'
    """
    parts = split(init_method or "env://")
    if parts.scheme == "tcp":
        return host_and_port(*ends(parts.place))
    if parts.scheme == "file":
        return f"file://{os.path.normpath(parts.place)}"
    if parts.scheme != "env":
        return init_method
    environment = os.environ
    if found := environment.get("NBGRAD_RUN_ID"):
        return found
    port = environment.get("MASTER_PORT")
    return host_and_port(environment.get("MASTER_ADDR", ""), port) if port else None


def ends(address: str) -> tuple[str, str]:
    """Host and port of host:port; any text is a port, since none is opened."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port if host else ""


def host_and_port(host: str, port: str) -> str:
    return f"{'127.0.0.1' if host in LOOPBACK else host}:{port}"


def rank_and_size(
    init_method: str | None, rank: int | None, world_size: int | None
) -> tuple[int | None, int | None]:
    """Who the worker is: as given, from the URL, from RANK and WORLD_SIZE, or from `spawn`; None where nothing says it.

    Raises
    ------
    ValueError
        If the URL says another number than is given, or one of them is no number.
    """
    query = split(init_method).query if init_method else {}
    birth = birthplace()
    found = []
    for name, given, born in (
        ("rank", rank, birth.index if birth else None),
        ("world_size", world_size, birth.layout.world if birth else None),
    ):
        in_url = number(name, query.get(name), f"in {init_method!r}")
        in_environment = number(name, os.environ.get(name.upper()), "in the environment")
        stated = given if given is not None and given >= 0 else None
        if stated is not None and in_url is not None and stated != in_url:
            raise ValueError(
                f"{name} is {stated}, but init_method {init_method!r} says {in_url}; give it once"
            )
        choices = [stated, in_url, in_environment, born]
        found.append(next((value for value in choices if value is not None), None))
    return found[0], found[1]


def number(name: str, text: str | None, where: str) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r} {where}, and should be a whole number") from None
