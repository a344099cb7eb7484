"""Vector clocks: is each plain access ordered after the last conflicting one, by the orders that the atomics promise?

Note [Clocks]
~~~~~~~~~~~~~
`now[t][u]` is the last step of thread u that is ordered before what t does now.  A release copies the writer's clock to the
word, an acquire joins the word's clock into the reader's, a read-modify-write does both and keeps what was there (release
sequence); a relaxed store wipes it.  Two accesses of which one is plain and one writes, not ordered by these, are a race.
Futexes and thread switches order nothing.  Fences are not modelled: code that needs one for plain data would be reported.
"""


class Race(AssertionError):
    """Two accesses that nothing orders."""


class Clocks:
    """Clocks of all threads and of all words of one run."""

    def __init__(self):
        self.now = []
        self.words = {}  # address of an atomic -> clock
        self.seen = {}  # word number -> four {thread: its step}: plain writes, plain reads, atomic writes, atomic reads

    def add_thread(self):
        for clock in self.now:
            clock.append(0)
        self.now.append([0] * len(self.now) + [1])

    def acquire(self, me, address):
        there = self.words.get(address)
        if there is not None:
            mine = self.now[me]
            for t, step in enumerate(there):
                if step > mine[t]:
                    mine[t] = step

    def release(self, me, address):
        self.words[address] = self.now[me][:]
        self.now[me][me] += 1

    def wipe(self, address):
        """A relaxed store: who reads it is ordered after nothing."""
        self.words.pop(address, None)

    def access(self, me, word, writes, plain):
        """Note an access; Race if it conflicts with one that is not ordered before it."""
        found = self.seen.get(word)
        mine = self.now[me]
        if found is None:
            found = self.seen[word] = ({}, {}, {}, {})
        plain_writes, plain_reads, atomic_writes, atomic_reads = found
        for t, step in plain_writes.items():
            if step > mine[t]:
                raise Race(f"not ordered after the plain write of thread {t}")
        if writes:
            for t, step in plain_reads.items():
                if step > mine[t]:
                    raise Race(f"not ordered after the plain read of thread {t}")
        if plain:
            for t, step in atomic_writes.items():
                if step > mine[t]:
                    raise Race(f"plain, and not ordered after the atomic write of thread {t}")
            if writes:
                for t, step in atomic_reads.items():
                    if step > mine[t]:
                        raise Race(f"plain, and not ordered after the atomic read of thread {t}")
        found[(0 if plain else 2) + (0 if writes else 1)][me] = mine[me]
