/* The life of one shared object (docs/ledger.md, src/ledger/shared.c, shared_client.c) for spin: SLOTS processes that reserve, publish, join and
 * leave, and vgpud, which reaps them; all may be killed before any store. The object's entry is used USES times.
 *
 * An operation of the account is two steps here: it takes effect (the total changes and names it), and it is in its row, which whoever
 * changes the total next sees to first. That this is so, whoever dies, is what ledger.pml shows. An amount is 1 or nothing.
 *
 * Checked at each store: the sum; that the total is never below what exists; that the object's byte is there as long as a live process holds
 * it; that nothing is given back twice; when nobody is in the middle of anything: no object without a holder; when all are reaped: nothing
 * is left. MUTANT_ macros must each be found wrong. */

#ifndef SLOTS
# define SLOTS 2
#endif
#ifndef USES
# define USES 2
#endif

#define OBJECT SLOTS /* an owner of a row, beside the slots */
#define NONE   (SLOTS + 1)

#define FREE    0 /* kinds of entry, and a slot's states */
#define CLAIMED 1
#define READY   2
#define DYING   3
#define LIVE    1
#define DEAD    2

byte kind, by, use; /* the entry's state word */
byte holders;       /* its bits */
byte used[SLOTS + 1], total, named = NONE;
short named_delta;
byte slot[SLOTS];

/* What is true, whatever memory says: a live process holds the object, or has a byte of its own. */
bool holds[SLOTS], has[SLOTS];
bool acts[SLOTS]; /* a process is in the middle of joining or leaving */

#if SLOTS == 2
# define ROWS_USED (used[0] + used[1] + used[OBJECT])
# define HAVE      (has[0] + has[1])
# define IS_HELD   (holds[0] || holds[1])
# define ALL_FREE  (slot[0] == FREE && slot[1] == FREE)
# define ALL_IDLE  (!acts[0] && !acts[1] && slot[0] != DEAD && slot[1] != DEAD)
#else
# define ROWS_USED (used[0] + used[1] + used[2] + used[OBJECT])
# define HAVE      (has[0] + has[1] + has[2])
# define IS_HELD   (holds[0] || holds[1] || holds[2])
# define ALL_FREE  (slot[0] == FREE && slot[1] == FREE && slot[2] == FREE)
# define ALL_IDLE  (!acts[0] && !acts[1] && !acts[2] && slot[0] != DEAD && slot[1] != DEAD && slot[2] != DEAD)
#endif

/* Nobody holds it, and nobody is about to see that. */
#define IS_LOST (ALL_IDLE && kind == READY && holders == 0)

inline check()
{
    assert(total == ROWS_USED + (named != NONE -> named_delta : 0));
    assert(total >= HAVE + IS_HELD);
    assert(!IS_HELD || used[OBJECT] + (named == OBJECT -> named_delta : 0) == 1);
    assert(!IS_HELD || kind == READY || kind == DYING)
}

#define STORE(act)                                                                                           \
    if                                                                                                       \
    :: atomic { act; check() }                                                                               \
    :: goto dead                                                                                             \
    fi

inline in_row(owner)
{
    if
    :: named == owner ->
       assert(used[owner] + named_delta >= 0);
       used[owner] = used[owner] + named_delta;
       named = NONE;
       named_delta = 0
    :: else
    fi
}

inline take_effect(owner, delta)
{
    if
    :: named != NONE -> in_row(named)
    :: else
    fi;
    assert(total + delta >= 0);
    total = total + delta;
    named = owner;
    named_delta = delta
}

inline change(from, from_by, from_use, to, to_by)
{
    if
    :: kind == from && by == from_by && use == from_use -> kind = to; by = to_by; won = true
    :: else -> won = false
    fi
}

/* Ends what p has CLAIMED or DYING. */
inline finish(p)
{
#ifndef MUTANT_UNSETTLED
    STORE(in_row(OBJECT));
#endif
    bytes = used[OBJECT];
    if
    :: bytes > 0 ->
       STORE(take_effect(OBJECT, -1));
       STORE(in_row(OBJECT))
    :: else
    fi;
    bytes = 0;
    STORE(change(kind, p, use, FREE, NONE))
}

inline release_unheld(p)
{
    do
    :: d_step { seen_kind = kind; seen_use = use };
       seen_held = holders;
       if
       :: seen_kind != READY || seen_held != 0 -> break
       :: else
       fi;
#ifdef MUTANT_NO_CLAIM
       STORE(kind = DYING; by = p; won = true);
#else
       STORE(change(READY, NONE, seen_use, DYING, p));
#endif
       if
       :: !won
       :: else ->
          seen_held = holders;
          if
#ifdef MUTANT_NO_RECHECK
          :: true ->
#else
          :: seen_held == 0 ->
#endif
             finish(p);
             break
#ifndef MUTANT_NO_RECHECK
          :: else -> STORE(change(DYING, p, seen_use, READY, NONE))
#endif
          fi
       fi
    od;
    skip; /* a jump must not end inside the d_step */
    d_step { seen_kind = 0; seen_use = 0; seen_held = 0; won = false }
}

#define LOCALS                                                                                               \
    byte seen_kind, seen_use, seen_held, bytes;                                                              \
    bool won
#define LOCALS_CLEAR seen_kind = 0; seen_use = 0; seen_held = 0; bytes = 0; won = false
#define BIT(p)       (1 << p)

inline transfer(p)
{
#ifdef MUTANT_ORDER
    STORE(take_effect(p, -1));
    STORE(in_row(p));
    STORE(take_effect(OBJECT, 1));
    STORE(in_row(OBJECT))
#else
    STORE(take_effect(OBJECT, 1));
    STORE(in_row(OBJECT));
    STORE(take_effect(p, -1));
    STORE(in_row(p))
#endif
}

proctype client(byte p)
{
    LOCALS;

life:
    do
    :: !has[p] && use < USES -> /* reserve */
       STORE(take_effect(p, 1); has[p] = true);
       STORE(in_row(p))
    :: has[p] && kind == FREE && use < USES -> /* publish */
       STORE(change(FREE, NONE, use, CLAIMED, p); use = use + won);
       if
       :: won ->
          STORE(holders = holders | BIT(p));
          transfer(p);
          STORE(kind = READY; by = NONE; holds[p] = true; has[p] = false)
       :: else
       fi;
       won = false
    :: atomic { !holds[p] && kind == READY -> seen_use = use }; /* join */
       STORE(holders = holders | BIT(p); acts[p] = true);
       if
       :: atomic { kind == READY && use == seen_use -> holds[p] = true; check(); seen_use = 0 }
       :: else ->
          STORE(holders = holders & ~BIT(p));
#ifndef MUTANT_JOIN_LOOKS_NOT
          release_unheld(p)
#else
          seen_use = 0
#endif
       fi;
       d_step { acts[p] = false; assert(!IS_LOST) }
    :: holds[p] -> /* leave */
       STORE(holders = holders & ~BIT(p); holds[p] = false; acts[p] = true);
       release_unheld(p);
       d_step { acts[p] = false; assert(!IS_LOST) }
    :: goto dead
    od;
dead:
    skip;
    d_step { LOCALS_CLEAR; holds[p] = false; has[p] = false; acts[p] = false; slot[p] = DEAD };
end_of_life:
    if
    :: slot[p] == LIVE -> goto life
    :: slot[p] == FREE
    fi
}

inline claims_end(p)
{
    if
    :: (kind == CLAIMED || kind == DYING) && by == p ->
       if
#ifndef MUTANT_REAPER_ENDS
       :: kind == DYING ->
          STORE(in_row(OBJECT));
          if
          :: used[OBJECT] > 0 -> STORE(change(DYING, p, use, READY, NONE))
          :: else -> finish(p)
          fi
#endif
       :: else -> finish(p)
       fi
    :: else
    fi
}

proctype vgpud()
{
    LOCALS;
    byte p;

begin:
end_of_work:
    if
    :: ALL_FREE -> assert(total == 0 && used[OBJECT] == 0 && kind == FREE && holders == 0); goto end
    :: slot[0] == DEAD -> p = 0
    :: slot[1] == DEAD -> p = 1
#if SLOTS == 3
    :: slot[2] == DEAD -> p = 2
#endif
    fi;
    claims_end(p);
#ifndef MUTANT_BITS_STAY
    STORE(holders = holders & ~BIT(p));
#endif
    release_unheld(p);
    STORE(in_row(p));
    if
    :: used[p] > 0 ->
       STORE(take_effect(p, -1));
       STORE(in_row(p))
    :: else
    fi;
    d_step { LOCALS_CLEAR; slot[p] = (use < USES -> LIVE : FREE); p = 0; assert(!IS_LOST) };
    goto begin;
dead:
    skip;
    d_step { LOCALS_CLEAR; p = 0 };
    if
    :: goto begin /* its successor */
    :: goto end   /* none comes */
    fi;
end:
    skip
}

init
{
    atomic {
        by = NONE;
        slot[0] = LIVE;
        slot[1] = LIVE;
        run client(0);
        run client(1);
#if SLOTS == 3
        slot[2] = LIVE;
        run client(2);
#endif
        run vgpud()
    }
}
