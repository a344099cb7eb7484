"""Messages between workers: kinds, and the fields of their header.

    (source, kind, h0 call id, h1 context id or -1, h2 message id or 0, h3 function id or flags, h4 grad mask, h5 spare,
     arrays, extra)

Bits 8 and up of `kind` name a transfer: the body came before, in CHUNK messages of that number (too large for the ring).
Bit PARTS of `kind`: an array is sparse and came as its parts; the last array says how many belong together.
Kinds from 16 on belong to `dist_autograd`, those from 32 on to `parallel`.
"""

CALL, REPLY, ERROR, INTERN, CHUNK, RREF, GOODBYE = range(1, 8)
PARTS = 128
GRAD, LETTER, RELEASE, FAILURE, REPORT, DROP_PASS = range(16, 22)
STAGE = 32  # activations or gradients of a pipeline

SOURCE, KIND, H0, H1, H2, H3, H4, H5, ARRAYS, EXTRA = range(10)
NO_CONTEXT = -1

# h3 of a CALL: the function's id, and flags beside it
PICKLED = 0  # id of a call whose pickle holds (function, args, kwargs)
HAS_ARGUMENTS = 1 << 31  # the pickle holds (args, kwargs)
FUNCTION_ID = HAS_ARGUMENTS - 1

# h3 of an ERROR: whether the function began to run
NOT_STARTED, STARTED = range(2)

# flags in h3 of a REPLY
ONE_TENSOR, NOTHING = 1, 2  # the value is the only tensor; the value is None
