"""Cloud: lambdas, local functions and classes by value, by the package cloudpickle, for groups that ask for it."""

from typing import Any

from nbgrad.errors import StartupError
from nbgrad.rpc import codec

PICKLERS = ("pickle", "cloudpickle")


def pickler() -> type:
    """As `codec.Pickler`, with functions by value where they can't be found by name.

    Raises
    ------
    StartupError
        If cloudpickle is not installed.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise StartupError(
            "pickler='cloudpickle' needs the package cloudpickle, which is not installed: pip install nbgrad[cloudpickle]"
        ) from error

    class CloudPickler(cloudpickle.Pickler):
        """Tensors and arrays out of band, RRefs counted, and the rest by cloudpickle."""

        persistent_id = codec.Pickler.persistent_id

        def __init__(self, file: Any, box: Any):
            super().__init__(file, 5)
            self.box = box

        def reducer_override(self, value: Any) -> Any:
            found = codec.Pickler.reducer_override(self, value)
            return super().reducer_override(value) if found is NotImplemented else found

    return CloudPickler
