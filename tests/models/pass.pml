/* A backward pass: one ring per ordered pair of workers, units of the ledger, one row, kill -9 anywhere, a supervisor.
 * Mirrors nbgrad/shm/ring.py, nbgrad/shm/wire.py (commit), nbgrad/dist_autograd/ledger.py and rpc/agent.py (post, drain).
 * Waiting is a guard, so a hang is an invalid end state and a wrong completion an assertion.
 *
 *   -DCRASH        kill -9 of worker VICTIM between any two steps; -DSUPERVISOR sets the poison word afterwards
 *   -DBUG_DEC      a unit goes back before the children are counted
 *   -DBUG_CNT      a unit is added after its message is published
 *   -DBUG_PUB      a message is published before its payload is written
 *   -DBUG_DRAIN    a sender that finds a ring full leaves its own inbox alone
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef VICTIM
#define VICTIM 1
#endif
#define NW 3
#define NN 8
#define NONE 15
#define R(a, b) ((a) * NW + (b))
#define SLOT(r, i) ((r) * CAP + (i) % CAP)
#define UNREAD(r) (tail[r] != head[r])
#define RUNNING 1
#define DONE 2

byte own[NN], deps[NN], ran[NN], nch[NN], ch[2 * NN];
byte pay[NW * NW * CAP], tail[NW * NW], head[NW * NW];
short outstanding = 1; byte state = RUNNING; bool poison, dead, crash, told;

inline pop(m) {                                    /* the oldest message of any ring into worker `me` */
  if
  :: UNREAD(R(0, me)) -> r = R(0, me)
  :: UNREAD(R(1, me)) -> r = R(1, me)
  :: UNREAD(R(2, me)) -> r = R(2, me)
  fi;
  m = pay[SLOT(r, head[r])];
  assert(m != NONE);                               /* R1: whole */
  atomic { pay[SLOT(r, head[r])] = NONE; head[r]++; r = 0 }
}
#define INBOX (UNREAD(R(0, me)) || UNREAD(R(1, me)) || UNREAD(R(2, me)))

inline put(c) {
  if
  :: own[c] == me -> atomic { outstanding++; queue[nq] = c; nq++ }          /* to oneself: a private queue */
  :: else ->
     do
     :: tail[R(me, own[c])] - head[R(me, own[c])] < CAP -> break
     :: poison -> goto out
#ifndef BUG_DRAIN
     :: tail[R(me, own[c])] - head[R(me, own[c])] >= CAP && INBOX -> pop(m); atomic { queue[nq] = m; nq++; m = 0 }
#endif
     od;
#ifndef BUG_CNT
     outstanding++;
#endif
#ifdef BUG_PUB
     tail[R(me, own[c])]++;
     pay[SLOT(R(me, own[c]), tail[R(me, own[c])] - 1)] = c;
#else
     pay[SLOT(R(me, own[c]), tail[R(me, own[c])])] = c;
     tail[R(me, own[c])]++;
#endif
#ifdef BUG_CNT
     outstanding++;
#endif
     skip
  fi
}
inline give_back() {                               /* G2: exactly one sees the zero, and closes the row */
  atomic { outstanding--; z = (outstanding == 0) };
  if
  :: z -> atomic {
       k = 0;
       do :: k < NN -> assert(ran[k] == 1); k++ :: else -> break od;        /* G1 */
       k = 0;
       do :: k < NW * NW -> assert(!UNREAD(k)); k++ :: else -> break od;
       k = 0; state = DONE }
  :: else
  fi
}

proctype worker(byte me) {
  byte n, m, k, r; byte queue[NN]; byte nq; bool z;
  {
end_idle:
    do
    :: poison -> goto out
    :: (nq > 0 || INBOX) && !poison ->
       if
       :: nq > 0 -> atomic { nq--; n = queue[nq]; queue[nq] = 0 }
       :: else -> pop(n)
       fi;
#ifdef BUG_DEC
       give_back();
#endif
       atomic { assert(deps[n] > 0); deps[n]-- };                           /* this worker's own table */
       if
       :: deps[n] == 0 ->
          ran[n]++; assert(ran[n] == 1);
          k = 0;
          do
          :: k < nch[n] -> put(ch[2 * n + k]); k++
          :: else -> break
          od
       :: else
       fi;
#ifndef BUG_DEC
       give_back();
#endif
       atomic { n = 0; k = 0; z = false }
    od;
out: skip
  } unless { crash && me == VICTIM -> dead = true }
}
proctype caller() {                                /* backward() ends: with the gradients, or with the death */
  if :: state == DONE :: poison fi;
  told = true
}
#ifdef CRASH
proctype killer() { if :: crash = true :: skip fi }
#endif
#ifdef SUPERVISOR
proctype supervisor() {
end_watch: (dead); poison = true
}
#endif
init { atomic {
  byte i = 0;
  do :: i < NW * NW * CAP -> pay[i] = NONE; i++ :: else -> break od;
  /* 0@0 -> 1@1, 2@2;  1 -> 3@2, 4@2;  2 -> 5@1, 6@1;  3 -> 7@0;  5 -> 7@0, which needs both */
  own[0]=0; own[1]=1; own[2]=2; own[3]=2; own[4]=2; own[5]=1; own[6]=1; own[7]=0;
  deps[0]=1; deps[1]=1; deps[2]=1; deps[3]=1; deps[4]=1; deps[5]=1; deps[6]=1; deps[7]=2;
  nch[0]=2; ch[0]=1; ch[1]=2; nch[1]=2; ch[2]=3; ch[3]=4; nch[2]=2; ch[4]=5; ch[5]=6; nch[3]=1; ch[6]=7; nch[5]=1; ch[10]=7;
  pay[SLOT(R(1, 0), 0)] = 0; tail[R(1, 0)] = 1;    /* the root, with its unit */
  run worker(0); run worker(1); run worker(2); run caller();
#ifdef CRASH
  run killer();
#endif
#ifdef SUPERVISOR
  run supervisor();
#endif
} }
