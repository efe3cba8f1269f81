/* Exchanges among the threads of a warp: bar.warp.sync, shfl, vote, match, redux, elect. A thread that names
 * other members waits until all of them that still live wait with the same member mask; then each gets its
 * result from the values all have left in the warp. When the running group already is all members (nearly
 * always) nobody waits. */
#include "softgpu/exec/run.h"

#include "softgpu/exec/block.h"

static const void *operand_lanes(const struct warp *warp, const struct frame *frame, uint32_t operand)
{
    if (OPERAND_BASE(operand) == BASE_FRAME)
        return frame->regs + OPERAND_OFFSET(operand);
    return lane_array(warp, operand);
}

/* Each lane of mask leaves its value and member mask in the warp. */
static void gather(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    bool has_value = insn->src[0] != OPERAND_NONE;
    const void *value = has_value ? lane_array(warp, insn->src[0]) : NULL;
    const uint32_t *members =
        insn->src[EXCHANGE_MEMBERS] == OPERAND_NONE ? NULL : lane_array(warp, insn->src[EXCHANGE_MEMBERS]);
    uint64_t flip = insn->src_not & 1;

    for_each_lane(lane, mask)
    {
        warp->members[lane] = members ? members[lane] : mask;
        if (has_value)
            warp->value[lane] = lane_read(value, insn->src_bytes[0], lane) ^ flip;
    }
}

/* ---- results ---- */

struct result {
    uint64_t value;
    bool predicate;
};

static struct result shuffle(const struct warp *warp, const struct insn *insn, unsigned lane, uint32_t b,
                             uint32_t c, uint32_t members)
{
    int segment = (int)(c >> 8 & 31), clamp = (int)(c & 31), shift = (int)(b & 31), self = (int)lane;
    int low = self & segment, high = low | (clamp & ~segment), source;
    bool in_range;

    switch (insn->mode) {
    case EXCHANGE_SHFL_UP:
        source = self - shift;
        in_range = source >= high;
        break;
    case EXCHANGE_SHFL_DOWN:
        source = self + shift;
        in_range = source <= high;
        break;
    case EXCHANGE_SHFL_BFLY:
        source = self ^ shift;
        in_range = source <= high;
        break;
    default:
        source = low | (shift & ~segment & 31);
        in_range = source <= high;
    }
    if (!in_range || !(members >> source & 1))
        source = self;
    return (struct result){warp->value[source], in_range};
}

static struct result vote(const struct warp *warp, unsigned mode, uint32_t members)
{
    uint32_t ballot = 0;

    for_each_lane(lane, members) ballot |= (uint32_t)(warp->value[lane] & 1) << lane;
    switch (mode) {
    case EXCHANGE_VOTE_ALL:
        return (struct result){ballot == members, false};
    case EXCHANGE_VOTE_ANY:
        return (struct result){ballot != 0, false};
    case EXCHANGE_VOTE_UNI:
        return (struct result){ballot == members || ballot == 0, false};
    default:
        return (struct result){ballot, false};
    }
}

static struct result match(const struct warp *warp, unsigned mode, unsigned self, uint32_t members)
{
    uint32_t same = 0;

    for_each_lane(lane, members) same |= (uint32_t)(warp->value[lane] == warp->value[self]) << lane;
    if (mode == EXCHANGE_MATCH_ALL)
        return (struct result){same == members ? members : 0, same == members};
    return (struct result){same, false};
}

static struct result reduce(const struct warp *warp, const struct insn *insn, uint32_t members)
{
    bool is_signed = insn->src_signed & 1, first = true;
    uint32_t all = 0;

    for_each_lane(lane, members)
    {
        uint32_t value = (uint32_t)warp->value[lane];
        bool less = is_signed ? (int32_t)value < (int32_t)all : value < all;

        if (first)
            all = value;
        else if (insn->mode == EXCHANGE_REDUX_ADD)
            all += value;
        else if (insn->mode == EXCHANGE_REDUX_AND)
            all &= value;
        else if (insn->mode == EXCHANGE_REDUX_OR)
            all |= value;
        else if (insn->mode == EXCHANGE_REDUX_XOR)
            all ^= value;
        else if ((insn->mode == EXCHANGE_REDUX_MIN) == less)
            all = value;
        first = false;
    }
    return (struct result){all, false};
}

static struct result result_of(const struct warp *warp, const struct frame *frame, const struct insn *insn,
                               unsigned lane, uint32_t members)
{
    switch (insn->mode) {
    case EXCHANGE_SHFL_UP:
    case EXCHANGE_SHFL_DOWN:
    case EXCHANGE_SHFL_BFLY:
    case EXCHANGE_SHFL_IDX:
        return shuffle(warp, insn, lane, ((const uint32_t *)operand_lanes(warp, frame, insn->src[1]))[lane],
                       ((const uint32_t *)operand_lanes(warp, frame, insn->src[2]))[lane], members);
    case EXCHANGE_BALLOT:
    case EXCHANGE_VOTE_ALL:
    case EXCHANGE_VOTE_ANY:
    case EXCHANGE_VOTE_UNI:
        return vote(warp, insn->mode, members);
    case EXCHANGE_MATCH_ANY:
    case EXCHANGE_MATCH_ALL:
        return match(warp, insn->mode, lane, members);
    case EXCHANGE_ELECT:
        return (struct result){(unsigned)__builtin_ctz(members), (unsigned)__builtin_ctz(members) == lane};
    default:
        return reduce(warp, insn, members);
    }
}

/* Gives the lanes of mask, which executed insn in frame, their results. Members that have exited do not
 * count. Results are made before any is written: a destination may be a source of another lane. */
static void finish(struct warp *warp, const struct frame *frame, const struct insn *insn, uint32_t mask)
{
    struct result results[LANES];
    uint32_t last_members = 0;
    unsigned last = 0;
    bool same_for_members = (insn->mode >= EXCHANGE_BALLOT && insn->mode <= EXCHANGE_VOTE_UNI) ||
                            (insn->mode >= EXCHANGE_REDUX_ADD && insn->mode <= EXCHANGE_REDUX_XOR);

    if (insn->mode == EXCHANGE_SYNC)
        return;
    for_each_lane(lane, mask)
    {
        uint32_t members = (warp->members[lane] & warp->live) | 1u << lane;

        results[lane] = same_for_members && members == last_members
                            ? results[last]
                            : result_of(warp, frame, insn, lane, members);
        last_members = members;
        last = lane;
    }
    for (unsigned i = 0; i < insn->n_dst; i++) {
        if (insn->dst[i] == OPERAND_NONE)
            continue;
        for_each_lane(lane, mask) lane_write(frame->regs + OPERAND_OFFSET(insn->dst[i]), insn->dst_bytes[i],
                                             lane, i == 0 ? results[lane].value : results[lane].predicate);
    }
}

/* ---- waiting ---- */

/* Lanes of waiting whose members all wait with them. */
static uint32_t complete_lanes(const struct warp *warp, uint32_t waiting)
{
    uint32_t complete = 0;

    for_each_lane(lane, waiting)
    {
        uint32_t members = warp->members[lane] & warp->live, same = 0;

        for_each_lane(other, waiting) same |= (uint32_t)(warp->members[other] == warp->members[lane])
                                              << other;
        if ((members & ~same) == 0)
            complete |= 1u << lane;
    }
    return complete;
}

void exchange_recheck(struct warp *warp)
{
    const struct insn *code = warp->block->grid->program->code;
    uint32_t waiting = 0, complete, n = warp->n_groups;

    for (uint32_t i = 0; i < n; i++)
        if (warp->groups[i].state == GROUP_AT_EXCHANGE)
            waiting |= warp->groups[i].mask;
    complete = waiting ? complete_lanes(warp, waiting) : 0;
    for (uint32_t i = 0; i < n && complete; i++) {
        struct group *group = &warp->groups[i];
        uint32_t done = group->state == GROUP_AT_EXCHANGE ? group->mask & complete : 0;

        if (!done)
            continue;
        finish(warp, group->frame, &code[group->pc - 1], done);
        if (done == group->mask) {
            group->state = GROUP_READY;
        } else {
            group->mask &= ~done;
            warp_split(warp, group->frame, group->pc, done);
        }
    }
}

static bool all_here(const struct warp *warp, uint32_t mask)
{
    uint32_t wanted = 0, differ = 0, first = warp->members[__builtin_ctz(mask)];

    for_each_lane(lane, mask)
    {
        wanted |= warp->members[lane];
        differ |= warp->members[lane] ^ first;
    }
    return !(wanted & warp->live & ~mask) && (!differ || complete_lanes(warp, mask) == mask);
}

enum insn_next run_exchange(struct warp *warp, const struct insn *insn, uint32_t mask)
{
    gather(warp, insn, mask);
    if (all_here(warp, mask)) {
        finish(warp, warp->frame, insn, mask);
        return NEXT_GO;
    }
    warp_narrow(warp, mask);
    warp_wait(warp, GROUP_AT_EXCHANGE, 0);
    exchange_recheck(warp);
    return NEXT_REGROUP;
}
