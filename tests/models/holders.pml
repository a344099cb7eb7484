/* One block: its owner writes in place, sends it to two readers and gives it up; it is allocated again, once.
 * Mirrors nbgrad/shm/arena.py (hold, release, begin_write, push_return, sort_returns) and wire.py (hold, then publish).
 *
 *   -DBUG_CHECK   looks whether it is alone, then writes
 *   -DBUG_LATE    the holder of a message is added after it is published
 *   -DBUG_FREE    looks whether it is the last, then takes its holder away
 */
#define WRITING 64
byte holders = 1, lo, hi, freed; bool sent[2]; bool written, reused;

inline hold() { do :: atomic { holders < WRITING -> holders++; break } od }
inline release() {
#ifdef BUG_FREE
  left = holders - 1;
  holders = left;
#else
  atomic { holders--; left = holders };
#endif
  if :: left == 0 -> freed++; assert(freed == 1) :: else fi           /* V3 */
}
proctype Writer() {
  byte k;
  do
  :: k < 2 ->
#ifdef BUG_CHECK
     if :: holders == 1 -> lo++; hi++ :: else fi;
#else
     if
     :: atomic { holders == 1 -> holders = 1 + WRITING }
        lo++; hi++;
        atomic { holders = holders - WRITING }
     :: else                                                           /* V2: it takes a fresh block */
     fi;
#endif
     k++
  :: else -> break
  od;
  written = true
}
proctype Sender() {
  byte k, left;
  do
  :: k < 2 ->
#ifdef BUG_LATE
     sent[k] = true; hold();
#else
     hold(); sent[k] = true;
#endif
     k++
  :: else -> break
  od;
  (written);                                                           /* who gave it up does not write it */
  release()
}
proctype Reader(byte me) {
  byte a, left;
  (sent[me]);
  a = lo;
  assert(!reused && freed == 0);
  assert(a == hi && a == lo);                                          /* V1: one version, all the time */
  release()
}
proctype Owner() { (freed == 1); reused = true }
init { atomic { run Writer(); run Sender(); run Reader(0); run Reader(1); run Owner() } }
