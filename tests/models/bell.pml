/* The doorbell of worker 0: who sleeps on it, who stands by, and who is woken.
 * Mirrors nbgrad/shm/bell.py (knock, take_bits, fall_asleep, stand_up, leave) and waiting.py (wait_bell, wait_standby).
 * The front thread takes messages, sleeps in between, and at some point goes away to compute for ever; a standby thread
 * takes over.  No slice ever ends by time, so a lost wake-up is an invalid end state.
 *
 *   -DBUG_CLEAR    bits are cleared after the rings were looked at
 *   -DBUG_SLEEP    looks at the bits, then says that it sleeps
 *   -DBUG_ORDER    the bit is set before the record is published
 *   -DBUG_LEAVE    the front looks at the bits, then leaves
 *   -DBUG_STANDBY  the standby looks, then counts itself
 */
#ifndef NS
#define NS 2
#endif
#define SLEEP 128
byte ring[NS], got; byte bell; byte front = 1; byte standing; bool asleep, stood; byte role;

inline wake_bell() { asleep = false }
inline wake_standby() { stood = false }
inline take_all() {                     /* the holder of the role */
  do
  ::
#ifdef BUG_CLEAR
     bits = bell % SLEEP;
#else
     atomic { bits = bell % SLEEP; bell = 0 };
#endif
     if :: bits == 0 -> break :: else fi;
     i = 0;
     do :: i < NS -> if :: (bits >> i) % 2 -> atomic { got = got + ring[i]; ring[i] = 0 } :: else fi; i++ :: else -> break od;
#ifdef BUG_CLEAR
     bell = 0;
#endif
     i = 0
  od
}
proctype Sender(byte me) {
  byte seen;
#ifdef BUG_ORDER
  atomic { seen = bell; bell = bell | (1 << me) };
  ring[me]++;
#else
  ring[me]++;
  atomic { seen = bell; bell = bell | (1 << me) };
#endif
  if
  :: seen >= SLEEP -> wake_bell()
  :: else ->
     if
     :: front == 0 ->
        if :: standing > 0 -> wake_standby() :: else fi
     :: else
     fi
  fi
}
proctype Front() {
  byte bits, i;
  atomic { role == 0 -> role = 1 };
  do
  :: take_all();
     if
     :: break                           /* away */
     :: atomic { got < NS ->
#ifdef BUG_SLEEP
        }
        if :: bell % SLEEP == 0 -> bell = bell | SLEEP; asleep = true :: else -> goto again fi;
#else
        if :: bell == 0 -> bell = SLEEP; asleep = true :: else -> goto again fi }
#endif
end_asleep:
        (!asleep);                      /* futex wait: the word was still SLEEP when it began to sleep */
        atomic { if :: bell == SLEEP -> bell = 0 :: else fi }
     fi;
again: skip
  od;
  role = 0;
#ifdef BUG_LEAVE
  bits = bell % SLEEP;
  front--;
  if :: bits != 0 && standing > 0 -> wake_standby() :: else fi
#else
  front--;
  if :: bell % SLEEP != 0 && standing > 0 -> wake_standby() :: else fi
#endif
}
proctype Standby() {
  byte bits, i; bool needed;
end_standby:
  do
  :: got < NS ->
#ifndef BUG_STANDBY
     standing++;
     atomic { needed = (bell % SLEEP != 0 && front == 0); stood = !needed };   /* the word is compared when it sleeps */
#else
     needed = (bell % SLEEP != 0 && front == 0);
     atomic { standing++; stood = !needed };
#endif
end_stood:
     (!stood);
     standing--;
     if :: bell % SLEEP != 0 && front == 0 ->
        front++;
        atomic { role == 0 -> role = 1 };
        take_all();
        role = 0;
        front--
     :: else fi
  :: else -> break
  od
}
init {
  byte i;
  atomic {
    i = 0; do :: i < NS -> run Sender(i); i++ :: else -> break od;
    run Front(); run Standby()
  }
  (got == NS)                           /* W1: every message is handled */
}
