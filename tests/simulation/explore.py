"""All schedules of a small program, or many seeded random ones with kills.

    def program(machine):                     # called for each run: sets memory up and spawns threads
        machine.spawn(...)
        return check                          # called when all threads have ended, or None

    explore(program)                          # every schedule, up to equal states
    hammer(program, seeds=range(2000))        # PCT priorities; the seed replays the run

A `Failure` is raised for the first schedule in which a thread raises, a check fails, something races, or threads wait
for ever; it tells the schedule and its last steps.  Both return a `Report`.
"""

import random
import time
from dataclasses import dataclass
from functools import partial

from tests.simulation.machine import Failure, Machine

TRACE_LINES = 40
MAX_STEPS = 20_000  # in one run: more is a loop that gets nowhere
MAX_TIMEOUTS = 100
FORE_RUNS = 20


@dataclass
class Report:
    """What was tried, for the reader of a test run."""

    schedules: int = 0
    states: int = 0
    steps: int = 0
    seconds: float = 0.0
    kills: int = 0
    timeouts: int = 0

    def __str__(self):
        text = f"{self.schedules:,} schedules, {self.states:,} states, {self.steps:,} steps in {self.seconds:.2f} s"
        return text + (f", {self.kills:,} kills" if self.kills else "")


def begin(program, machine):
    """Start a run, each thread just before its first point; the run's final check."""
    machine.stop()
    machine.reset()
    machine.rng = random.Random(machine.seed)
    check = program(machine)
    for thread in machine.threads:
        machine.step(thread)
    return check


def end(machine, check):
    """The final check, in a run where no thread can move."""
    stuck = machine.waiting()
    if stuck:
        where = [
            f"{t.name} on {machine.name(t.asleep)}" if t.asleep else f"{t.name} for a write"
            for t in stuck
        ]
        raise Failure(f"wait for ever: {', '.join(where)}")
    if check is not None:
        check()


def failure(machine, error, how, replay):
    """The same error with its schedule and its last steps."""
    machine.source.must_be_used()
    machine.tracing = True
    try:
        replay()
    except AssertionError:
        pass
    machine.tracing = False
    lines = machine.trace[-TRACE_LINES:]
    machine.stop()
    return Failure(
        "\n".join([str(error) or repr(error), f"schedule: {how}", "last steps:", *lines])
    )


# ------------------------------------------------------------ all schedules


def explore(program, machine=None, max_states=200_000, slices=False, **options):
    """Every schedule of `program`, up to states that were seen before.

    `slices`: where nobody can move, sleepers wake by time-out; without it, that is a failure.
    """
    machine = machine or Machine(**options)
    machine.learning, machine.seed = True, 0
    report, began = Report(), time.perf_counter()
    for seed in range(
        FORE_RUNS
    ):  # who touches what: most of it shows at once, and each restart costs
        try:
            random_run(program, machine, seed, 100, False, True)
        except AssertionError:
            break  # the exploration will tell
    while True:
        machine.learned = False
        report.states = report.schedules = 0
        if all_from_start(program, machine, report, max_states, slices):
            break
    machine.stop()
    machine.source.must_be_used()
    report.seconds = time.perf_counter() - began
    return report


def all_from_start(program, machine, report, max_states, slices):
    """One exploration; False if it learned that more accesses must be points (Note [Simulated memory] M1)."""
    seen, todo = set(), [b""]
    while todo:
        prefix = todo.pop()
        schedule = bytearray()
        report.schedules += 1
        try:
            check = replay(program, machine, prefix, schedule)
            while True:
                movable = machine.movable()
                if not movable and slices:
                    movable = sleepers(machine)
                if not movable:
                    end(machine, check)
                    break
                state = machine.state()
                if state in seen:
                    break
                seen.add(state)
                todo += [bytes(schedule) + bytes([t.number]) for t in movable[1:]]
                schedule.append(movable[0].number)
                move(machine, movable[0])
        except AssertionError as error:
            how = schedule_text(schedule)
            raise failure(
                machine, error, how, partial(finish, program, machine, schedule)
            ) from error
        report.steps += machine.steps
        if machine.learned:
            return False
        report.states = len(seen)
        assert report.states <= max_states, (
            f"more than {max_states} states: make the program smaller"
        )
    return True


def replay(program, machine, prefix, schedule):
    """Run the first steps as given."""
    check = begin(program, machine)
    for number in prefix:
        schedule.append(number)
        move(machine, machine.threads[number])
    return check


def sleepers(machine):
    """Threads whose slice may end now."""
    return [t for t in machine.waiting() if t.asleep]


def move(machine, thread):
    """A step, or the end of the slice that the thread sleeps in."""
    if thread.asleep and thread.woken is None:
        machine.time_out(thread)
        if machine.timeouts > MAX_TIMEOUTS:
            raise Failure(
                f"nothing but time-outs: {MAX_TIMEOUTS} slices have ended where nobody could move"
            )
    machine.step(thread)


def finish(program, machine, schedule):
    """The same schedule again, for its trace."""
    end(machine, replay(program, machine, bytes(schedule), bytearray()))


def schedule_text(schedule):
    """'0011' for threads 0, 0, 1, 1."""
    return "".join("0123456789abcdefghijklmnopqrstuvwxyz"[n] for n in schedule)


# ------------------------------------------------------------ random schedules


def hammer(program, seeds, machine=None, kill=lambda seed: False, slices=False, **options):
    """Runs with random priorities; in those for which `kill(seed)` a process is killed at a random step.

    `slices`: sleepers wake by time-out where nobody else can move; without it, that is a failure.  After a kill they
    always do, since a message may have died with its sender.
    """
    machine = machine or Machine(**options)
    machine.learning = False
    report, began = Report(), time.perf_counter()
    length = 200  # steps of a run, so that kills and changes of priority fall into it; learned from run to run
    for seed in seeds:
        try:
            random_run(program, machine, seed, length, kill(seed), slices)
        except AssertionError as error:
            how = f"seed {seed}, {length} steps expected"
            again = partial(random_run, program, machine, seed, length, kill(seed), slices)
            raise failure(machine, error, how, again) from error
        report.schedules += 1
        report.steps += machine.steps
        report.kills += bool(machine.dead)
        report.timeouts += machine.timeouts
        length = max(20, (3 * length + machine.steps) // 4)
    machine.stop()
    machine.source.must_be_used()
    report.seconds = time.perf_counter() - began
    return report


def random_run(program, machine, seed, length, kill, slices):
    """One run; everything in it follows from the seed and the expected length."""
    rng = random.Random(seed)
    machine.seed = 0 if machine.learning else seed
    check = begin(program, machine)
    order = [t.number for t in machine.threads]
    rng.shuffle(order)
    change = {rng.randrange(length) for _ in range(rng.choice((1, 2, 3, 5)))}
    uniform = rng.choice((0.0, 0.1, 0.25, 0.9))
    kill_at = rng.randrange(1, length) if kill else -1
    while True:
        if machine.steps >= kill_at > 0 and not machine.dead and machine.waiting():
            machine.kill(rng.choice(sorted({t.process for t in machine.waiting()})))
        movable = machine.movable()
        if not movable:
            asleep = sleepers(machine)
            if not asleep or not (slices or machine.dead):
                break
            move(machine, rng.choice(asleep))
            continue
        if machine.steps > MAX_STEPS:
            raise Failure(f"still running after {MAX_STEPS} steps")
        numbers = {t.number for t in movable}
        if machine.steps in change:
            order.append(order.pop(order.index(next(n for n in order if n in numbers))))
        if uniform and rng.random() < uniform:
            chosen = rng.choice(movable).number
        else:
            chosen = next(n for n in order if n in numbers)
        machine.step(machine.threads[chosen])
    end(machine, check)
