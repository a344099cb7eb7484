/* Three passes of one context, one after the other: the first fails while worker W still holds a unit of it.
 * Mirrors nbgrad/dist_autograd/ledger.py (give_back, close, fail) and engine.py (new_id, drop_failed, on_drop).
 * The row of the failed pass is used again when it is closed, and W has dropped what it has of it.
 *
 *   -DBUG_CONTEXT  one row per context: the second pass takes it at once
 *   -DBUG_ZERO     the row is taken when no units are left, although it is not closed yet
 *   -DBUG_DROP     W closes the row once more when it gives back the unit of DROP
 */
#define RUN 0
#define DONE 1
#define FAILED 2
#define DRAINED 3
byte pass = 1, state = RUN; short outstanding = 1; bool grad1, drop, grad3, handled3;

inline close() { atomic { if :: state == RUN -> state = DONE :: state == FAILED -> state = DRAINED :: else fi } }
inline give_back() {
  atomic { outstanding--; z = (outstanding == 0) };
  if :: z -> close() :: else fi
}
active proctype W() {
  bool z;
  (grad1);
  if :: pass == 1 && state == RUN -> skip :: else fi;              /* runs nodes of pass 1, if it still runs */
  give_back();
end_1:
#if !defined(BUG_CONTEXT) && !defined(BUG_ZERO)
  (drop);
#ifdef BUG_DROP
  give_back();
#else
  atomic { outstanding--; };                                       /* the last access to the row: closed already */
#endif
#endif
  (grad3);
  handled3 = true;
  give_back()
}
active proctype Caller() {
  bool z;
  atomic { outstanding++ } grad1 = true;                           /* posts a gradient of pass 1 */
  atomic { if :: state == RUN -> state = FAILED :: else fi };      /* Ctrl-C: pass 1 fails, and backward() raises */
  give_back();
#ifdef BUG_ZERO
  (outstanding == 0);
#endif
#if !defined(BUG_CONTEXT) && !defined(BUG_ZERO)
  (state == DRAINED);
  atomic { outstanding++ } drop = true;                            /* pass 2 has another row meanwhile */
  (outstanding == 0);
#endif
  atomic { pass = 3; outstanding = 1 }
  state = RUN;
  atomic { outstanding++ } grad3 = true;
  give_back();
  (state != RUN);
  assert(state == DONE && handled3 && outstanding == 0)            /* G1, G4 */
}
