"""Settle: sends whose results are unused get no gradient; workers tell each other of which that is so.

    first message     ──letters──►  "of these sends of yours I use nothing": what a worker knows at once
    a node gets none  ──letters──►  likewise
    at rest, with sends unserved: the round
    who finds it so   ──letters──►  all touched workers, and whoever holds the other end of its unserved sends: "will these of
                                    mine be served?"
    each, once        ──letters──►  the same, and an answer to each question that it gets

A letter is a message with up to four numbers.  A message id asks whether that send of its writer will be served; a negated
one says that a send of its reader will not.  Where all results are used there is no letter; one unused call costs two or
three, and mostly no round.

Note [Settle]
~~~~~~~~~~~~~
S1 (complete)  one round serves all sends that were counted: by their recv's gradient, or by a word.  A worker asks for each
               send that is still unserved when it first takes part.  Whoever holds the recv says no if it is not among the
               nodes seen there; if it is, it has run or will run: edges go from younger to older, so take the oldest send
               that is unserved after the round; everything that leads to its recv was served, so the recv ran.
S2 (once)      a send gets one word: `declared` holds what was said, and what was said unasked is not said again.
S3 (order)     a question comes through the ring through which the send's own message came, so a recv that is not there
               belongs to a call that was given up, or begins later: no node of this pass can need it.
S4 (bounded)   nothing is said unasked to workers that the pass would not touch, since that alone would make them take part:
               before the round only to those to whom a counted send went, since it must be served, and that touches them.
In mode "fast" nothing is said before the round, and what is said is only reported, to the caller, who raises.
"""

from typing import Any

from nbgrad.dist_autograd import ledger
from nbgrad.rpc.message import H2, H5, LETTER, REPORT, SOURCE

PER_LETTER = H5 + 1 - H2


def speak(part: Any) -> None:
    """After the first message: tell those senders of unused results that will take part anyway; or take part in the round."""
    if ledger.phase(part.row):
        take_part(part, {})
    elif not part.fast and not all(map(part.table.__contains__, list(part.context.recvs.values()))):
        letters: dict = {}
        say_outside(part, {send.target for send in part.snapshot.values()}, letters)
        post_letters(part, letters)


def say_outside(part: Any, ranks: set, letters: dict) -> None:
    table = part.table
    for message_id, recv in list(part.context.recvs.items()):
        # (the first condition is a part of the last, and false of nearly all)
        if recv not in table and recv.source in ranks and is_outside(part, message_id):
            letters.setdefault(recv.source, []).append(-message_id)


def is_outside(part: Any, message_id: int) -> bool:
    """Whether the recv of a message is not part of this pass; True once (Note [Settle] S2)."""
    recv = part.context.recvs.get(message_id)
    if message_id in part.declared or recv in part.table:
        return False
    part.declared.add(message_id)
    return True


def open_round(part: Any) -> None:
    """The finisher's letters; it holds the only unit, and the phase says that the pass settles."""
    touched = ledger.touched(part.row) & ~(1 << part.agent.rank)
    take_part(part, {rank: [] for rank in range(part.agent.world) if touched >> rank & 1})


def take_part(part: Any, letters: dict) -> None:
    """Post letters {rank: numbers}, with, once, what this worker has to ask and to say in the round."""
    if not part.asked:
        part.asked = True
        for message_id in part.snapshot.keys() - part.served:
            letters.setdefault(part.snapshot[message_id].target, []).append(message_id)
        touched = ledger.touched(part.row)
        ranks = {rank for rank in range(part.agent.world) if touched >> rank & 1 or rank in letters}
        say_outside(part, ranks, letters)
    post_letters(part, letters)


def on_letter(part: Any, message: tuple) -> None:
    """Take what is said, answer what is asked; in the round also take part in it."""
    ready: list = []
    letters: dict = {}
    is_round = ledger.phase(part.row) != 0
    for number in message[H2 : H5 + 1]:
        if number > 0:
            if is_outside(part, number):
                letters.setdefault(message[SOURCE], []).append(-number)
        elif -number in part.snapshot:  # (else sent after the snapshot, or no number at all)
            if part.fast:
                report(part, part.snapshot[-number])
            else:
                part.serve_nothing(-number, ready)
    part.drain(ready)
    if is_round:
        take_part(part, letters)


def post_letters(part: Any, letters: dict) -> None:
    for rank, numbers in letters.items():
        for k in range(0, len(numbers) or 1, PER_LETTER):
            post_letter(part, rank, numbers[k : k + PER_LETTER])


def post_letter(part: Any, rank: int, numbers: list) -> None:
    part.n_messages += 1
    header = *numbers, *[0] * (PER_LETTER - len(numbers))
    part.agent.post(rank, part.row, LETTER, part.id, part.context.id, *header, (), None)


def report(part: Any, send: Any) -> None:
    """Mode "fast": tell the caller which result is unused."""
    what = getattr(send.what, "__qualname__", None) or str(send.what)
    names = part.agent.session.names
    text = f"{what}, sent from {names[part.agent.rank]!r} to {names[send.target]!r}"
    part.n_messages += 1
    part.agent.post(
        part.id >> 48, part.row, REPORT, part.id, part.context.id, 0, 0, 0, 0, (), text.encode()
    )
