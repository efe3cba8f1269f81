/* The account protocol of docs/ledger.md and src/ledger/operation.c for spin: one device, SLOTS clients and vgpud. Each load and each store
 * of shared memory is one step. A 16-byte compare-and-swap is one step, and so are a 16-byte read and the two reads of an intent,
 * unless TORN takes them apart into the loads that word.h makes. O0..O8 and F1..F4 are the names of docs/ledger.md.
 *
 * Everybody may be killed before any store (that covers a kill before a load: it leaves the same memory), any number of times. A dead
 * client's slot is reaped by vgpud, in whose middle a successor may begin anew or nobody at all, and is handed out again. A life that ends
 * by itself is a death too: a process that exits leaves its memory to the reaper. What bounds the state space is NUMBERS: a slot that has
 * used up so many operation numbers begins nothing new. check.py chooses sizes, the MUTANT_ macros, each of which
 * must be found wrong, and VARIANT_LOOSE_HELPER (the intent read before the row, its number not looked at), which must hold: docs/ledger.md, 3.,
 * does not lean on either.
 *
 * Memory order is not modelled: spin's memory is sequentially consistent. docs/ledger.md, 3., says which order the code relies on.
 *
 * Checked: the sum and the limit at each store, a row against what its owner knows that it took, a refusal (TORN) against what the
 * account held during the call, emptiness after each reaping, and by spin itself that nobody is stuck, whoever else has stopped. With pan's
 * -l: no run goes on for ever without an operation that ends or somebody who dies. */

#ifndef SLOTS
# define SLOTS 2
#endif
#ifndef NUMBERS
# define NUMBERS 3
#endif
#ifndef LIMIT
# define LIMIT 2
#endif

#define FREE 0
#define LIVE 1
#define DEAD 2

/* The account A = {total, (slot, number)}. */
byte total, tag_slot, tag_number;

/* Row R[p] = {used, n} and intent I[p] = {delta, number}. A device's words begin as zeros. */
typedef slot_row {
    byte used, n;
    short delta;
    byte number
};
slot_row row[SLOTS];

byte slot[SLOTS];
byte limit = LIMIT;

#ifdef TORN
/* What the account held at most during the call that a client is in: a refusal must have had its reason at some moment. */
byte most[SLOTS];
#endif

#if SLOTS == 2
# define ROWS_USED (row[0].used + row[1].used)
# define ALL_FREE  (slot[0] == FREE && slot[1] == FREE)
#else
# define ROWS_USED (row[0].used + row[1].used + row[2].used)
# define ALL_FREE  (slot[0] == FREE && slot[1] == FREE && slot[2] == FREE)
#endif
#define NAMED_DELTA (tag_number > 0 && row[tag_slot].n + 1 == tag_number -> row[tag_slot].delta : 0)

/* Every store ends in one of two ways: it was done, and I1 and I2 of docs/ledger.md hold; or its process was killed before. */
#define STORE(act)                                                                                           \
    if                                                                                                       \
    :: atomic { act; assert(total == ROWS_USED + NAMED_DELTA); assert(total <= limit) }                      \
    :: goto dead                                                                                             \
    fi

/* ---- F1..F4 ---- */

inline row_load(p)
{
#ifdef TORN
    f_n = row[p].n;
    f_used = row[p].used;
    if
    :: row[p].n == f_n
    :: else -> d_step { f_used = row[p].used; f_n = row[p].n } /* a compare-and-swap that changes nothing */
    fi
#else
    d_step { f_used = row[p].used; f_n = row[p].n }
#endif
}

inline row_swap(p, name)
{
    if
#ifndef MUTANT_ROW_STORE
    :: !(row[p].used == f_used && row[p].n == f_n)
#endif
    :: else ->
       assert(f_used + f_delta >= 0);
       row[p].used = f_used + f_delta;
       row[p].n = name
    fi
}

inline finish(p, name)
{
    if
    :: name == 0
    :: else ->
#ifdef VARIANT_LOOSE_HELPER
       f_delta = row[p].delta;
#endif
       row_load(p); /* F1 */
       if
       :: f_n + 1 == name ->
#if defined(VARIANT_LOOSE_HELPER)
          STORE(row_swap(p, name))
#elif defined(TORN)
          if
          :: row[p].number == name -> f_delta = row[p].delta; STORE(row_swap(p, name))
          :: else
          fi
#else
          if
          :: atomic { row[p].number == name -> f_delta = row[p].delta }; /* F2, F3 */
             STORE(row_swap(p, name))                                    /* F4 */
          :: else
          fi
#endif
       :: else
       fi;
       d_step { f_used = 0; f_n = 0; f_delta = 0 }
    fi
}

/* ---- O0..O8 ---- */

inline settle(p)
{
    d_step { seen_slot = tag_slot; seen_number = tag_number };
    if
    :: seen_slot == p -> finish(p, seen_number)
    :: else
    fi;
    row_load(p);
    d_step { used = f_used; number = f_n + 1; f_used = 0; f_n = 0; seen_slot = 0; seen_number = 0 } /* O1 */
}

inline account_load()
{
#ifdef TORN
    d_step { seen_slot = tag_slot; seen_number = tag_number };
    seen_total = total;
    if
    :: seen_slot == tag_slot && seen_number == tag_number
    :: else -> d_step { seen_total = total; seen_slot = tag_slot; seen_number = tag_number }
    fi
#else
    d_step { seen_total = total; seen_slot = tag_slot; seen_number = tag_number }
#endif
}

inline account_swap(p)
{
    if
    :: total == seen_total && tag_slot == seen_slot && tag_number == seen_number ->
       total = seen_total + delta;
       tag_slot = p;
       tag_number = number;
       taken = true;
#ifdef TORN
       most[0] = (total > most[0] -> total : most[0]);
       most[1] = (total > most[1] -> total : most[1])
#endif
    :: else -> seen_total = total; seen_slot = tag_slot; seen_number = tag_number
    fi
}

#ifdef MUTANT_CHECK_ONCE
# define IS_OVER (!checked && delta > 0 && seen_total + delta > limit)
#else
# define IS_OVER (delta > 0 && seen_total + delta > limit)
#endif

#ifdef MUTANT_NO_HELP
# define HELP skip
#else
# define HELP finish(seen_slot, seen_number)
#endif

/* delta by slot p, which is settled. Leaves whether it was taken. */
inline operation(p)
{
#ifndef MUTANT_INTENT_LATE
    STORE(row[p].delta = delta); /* O2 */
#endif
    STORE(row[p].number = number); /* O3 */
    account_load();                /* O4 */
    do
    :: taken || IS_OVER -> break /* O5 */
    :: else ->
#ifdef MUTANT_CHECK_ONCE
       checked = true;
#endif
       HELP;                  /* O6 */
       STORE(account_swap(p)) /* O7 */
    od;
#ifdef MUTANT_INTENT_LATE
    if
    :: taken -> STORE(row[p].delta = delta)
    :: else
    fi;
#endif
    if
    :: taken -> finish(p, number) /* O8 */
    :: else
    fi;
progress:
    d_step { seen_total = 0; seen_slot = 0; seen_number = 0; number = 0 }
}

/* ---- who does it ---- */

#ifdef MUTANT_CHECK_ONCE
# define CHECKED bool checked
# define CHECKED_CLEAR checked = false
#else
# define CHECKED
# define CHECKED_CLEAR skip
#endif
#define LOCALS                                                                                               \
    byte f_used, f_n, seen_total, seen_slot, seen_number, used, number;                                      \
    short f_delta, delta;                                                                                    \
    bool taken;                                                                                              \
    CHECKED
#define LOCALS_CLEAR                                                                                         \
    f_used = 0; f_n = 0; seen_total = 0; seen_slot = 0; seen_number = 0; used = 0; number = 0; f_delta = 0;  \
    delta = 0; taken = false; CHECKED_CLEAR

proctype client(byte p)
{
    LOCALS;
    byte mine; /* what the operations of this life took */

life:
    do
    :: row[p].n >= NUMBERS -> break
    :: row[p].n < NUMBERS ->
       if
       :: delta = 1
#ifndef ONE_SIZE
       :: delta = 2
#endif
       :: delta = -2 /* or what there is, where that is less */
       fi;
       settle(p); /* O0 */
       d_step {
           assert(used == mine);
           if
           :: delta < 0 && used + delta < 0 -> delta = 0 - used
           :: else
           fi;
           used = 0;
#ifdef TORN
           most[p] = total
#endif
       };
       operation(p);
       d_step {
           if
           :: taken -> mine = mine + delta
           :: else ->
#ifdef TORN
              assert(most[p] + delta > limit)
#else
              skip
#endif
           fi;
           assert(row[p].used == mine);
           mine = row[p].used;
           taken = false;
           delta = 0;
           CHECKED_CLEAR
       }
    od;
dead:
progress_dead:
    skip; /* a jump must not end inside the d_step */
    d_step { LOCALS_CLEAR; mine = 0; slot[p] = DEAD };
end_of_life: /* nobody is there; vgpud may hand the slot to another process */
    if
    :: slot[p] == LIVE -> goto life
    :: slot[p] == FREE
    fi
}

proctype vgpud()
{
    LOCALS;
    byte p;

begin:
end_of_work:
    if
    :: ALL_FREE -> assert(total == 0); goto end
    :: slot[0] == DEAD -> p = 0
    :: slot[1] == DEAD -> p = 1
#if SLOTS == 3
    :: slot[2] == DEAD -> p = 2
#endif
    fi;
#ifdef MUTANT_REAP_UNSETTLED
    d_step { used = row[p].used; number = row[p].n + 1 };
#else
    settle(p);
#endif
    if
    :: used > 0 ->
       d_step { delta = 0 - used; used = 0 };
       operation(p);
       assert(taken)
    :: else
    fi;
    d_step {
        LOCALS_CLEAR;
        assert(row[p].used == 0);
        slot[p] = (row[p].n < NUMBERS -> LIVE : FREE);
#ifdef MUTANT_SEQUENCE_RESET
        row[p].n = 0;
#endif
        p = 0
    };
    goto begin;
dead:
progress_dead:
    skip;
    d_step { LOCALS_CLEAR; p = 0 };
    if
    :: goto begin /* its successor */
    :: goto end   /* none comes: clients must not wait for it */
    fi;
end:
    skip
}

#ifdef RISING
proctype vgpud_raises()
{
    limit++
}
#endif

init
{
    atomic {
        slot[0] = LIVE;
        slot[1] = LIVE;
        run client(0);
        run client(1);
#if SLOTS == 3
        slot[2] = LIVE;
        run client(2);
#endif
#ifdef RISING
        run vgpud_raises();
#endif
        run vgpud()
    }
}
