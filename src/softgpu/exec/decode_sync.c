/* Instructions by which threads wait for each other or exchange values: barriers, shuffles, votes, matches,
 * reductions over a warp, sleeping. What they do is in run_exchange.c and run_barrier.c. */
#include "softgpu/exec/decode.h"

#include <errno.h>
#include <string.h>

#include "softgpu/exec/run.h"

/* src[0] is the barrier's number, src[1] the thread count (or none), src[2] the predicate of a reduction. */
static int barrier_operands(struct decoder *d, const struct ptx_insn *ast, unsigned first, unsigned n,
                            struct insn *insn)
{
    int ret;

    if (n == 0 || n > 2)
        return decode_fail(d, -EINVAL, ast, "barrier operands");
    ret = decode_source_at(d, ast, &ast->operands[first], PTX_U32, insn, 0);
    if (!ret && n == 2)
        ret = decode_source_at(d, ast, &ast->operands[first + 1], PTX_U32, insn, 1);
    if (!ret && (insn->src_bytes[0] != 4 || (n == 2 && insn->src_bytes[1] != 4)))
        ret = decode_fail(d, -EINVAL, ast, "barrier operands are 32 bits wide");
    return ret;
}

static int decode_barrier_red(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    unsigned last = ast->n_operands - 1u;
    int ret;

    if (ast->n_operands < 3)
        return decode_fail(d, -EINVAL, ast, "barrier operands");
    insn->mode = decode_has(ast, "popc")  ? BARRIER_RED_POPC
                 : decode_has(ast, "and") ? BARRIER_RED_AND
                                          : BARRIER_RED_OR;
    ret = barrier_operands(d, ast, 1, ast->n_operands - 2u, insn);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[last], PTX_PRED, insn, 2);
    if (!ret)
        ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret && (insn->src_bytes[2] != 1 || insn->dst_bytes[0] != (insn->mode == BARRIER_RED_POPC ? 4 : 1)))
        ret = decode_fail(d, -EINVAL, ast, "barrier operands have the wrong type");
    return ret;
}

static int decode_warp_barrier(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    insn->mode = EXCHANGE_SYNC;
    insn->run = run_exchange;
    insn->cost = COST_EXCHANGE;
    if (ast->n_operands != 1)
        return decode_fail(d, -EINVAL, ast, "a member mask is wanted");
    return decode_source_at(d, ast, &ast->operands[0], PTX_U32, insn, EXCHANGE_MEMBERS);
}

int decode_barrier(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    if (decode_has(ast, "cluster"))
        return decode_fail(d, -ENOTSUP, ast, "clusters not supported");
    if (decode_has(ast, "warp"))
        return decode_warp_barrier(d, ast, insn);
    insn->run = run_barrier;
    insn->cost = COST_SYNC;
    if (decode_has(ast, "red"))
        return decode_barrier_red(d, ast, insn);
    if (decode_has(ast, "arrive")) {
        insn->mode = BARRIER_ARRIVE;
        return ast->n_operands == 2 ? barrier_operands(d, ast, 0, 2, insn)
                                    : decode_fail(d, -EINVAL, ast, "bar.arrive wants a thread count");
    }
    if (!decode_has(ast, "sync"))
        return decode_fail(d, -ENOTSUP, ast, "barrier not supported");
    insn->mode = BARRIER_SYNC;
    return barrier_operands(d, ast, 0, ast->n_operands, insn);
}

/* Exchanges: the values given are src[0..], the member mask is src[EXCHANGE_MEMBERS]. Forms without .sync
 * have none: their members are whoever executes. */
static int exchange_members(struct decoder *d, const struct ptx_insn *ast, unsigned at, struct insn *insn)
{
    insn->run = run_exchange;
    insn->cost = COST_EXCHANGE;
    if (!decode_has(ast, "sync"))
        return ast->n_operands == at ? 0 : decode_fail(d, -EINVAL, ast, "operands");
    if (ast->n_operands != at + 1)
        return decode_fail(d, -EINVAL, ast, "a member mask is wanted");
    return decode_source_at(d, ast, &ast->operands[at], PTX_U32, insn, EXCHANGE_MEMBERS);
}

/* Widths of dst[0], dst[1] and src[0] must be these; a destination that is not wanted has any width. */
static int exchange_widths(struct decoder *d, const struct ptx_insn *ast, const struct insn *insn,
                           unsigned dst0, unsigned dst1, unsigned src0)
{
    if ((insn->dst[0] != OPERAND_NONE && insn->dst_bytes[0] != dst0) ||
        (insn->dst[1] != OPERAND_NONE && insn->dst_bytes[1] != dst1) || insn->src_bytes[0] != src0 ||
        (insn->src[EXCHANGE_MEMBERS] != OPERAND_NONE && insn->src_bytes[EXCHANGE_MEMBERS] != 4))
        return decode_fail(d, -EINVAL, ast, "operand has the wrong type");
    return 0;
}

int decode_shfl(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int ret;

    if (ast->n_operands < 4)
        return decode_fail(d, -EINVAL, ast, "operands missing");
    insn->mode = decode_has(ast, "up")     ? EXCHANGE_SHFL_UP
                 : decode_has(ast, "down") ? EXCHANGE_SHFL_DOWN
                 : decode_has(ast, "bfly") ? EXCHANGE_SHFL_BFLY
                                           : EXCHANGE_SHFL_IDX;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret && ast->operands[0].second)
        ret = decode_destination(d, ast, ast->operands[0].second, insn, 1);
    for (unsigned i = 0; i < 3 && !ret; i++)
        ret = decode_source_at(d, ast, &ast->operands[i + 1], PTX_B32, insn, i);
    if (!ret)
        ret = exchange_members(d, ast, 4, insn);
    if (!ret && (insn->src_bytes[1] != 4 || insn->src_bytes[2] != 4))
        ret = decode_fail(d, -EINVAL, ast, "operand has the wrong type");
    return ret ? ret : exchange_widths(d, ast, insn, 4, 1, 4);
}

int decode_vote(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int ret;

    if (ast->n_operands < 2)
        return decode_fail(d, -EINVAL, ast, "operands missing");
    insn->mode = decode_has(ast, "ballot") ? EXCHANGE_BALLOT
                 : decode_has(ast, "all")  ? EXCHANGE_VOTE_ALL
                 : decode_has(ast, "any")  ? EXCHANGE_VOTE_ANY
                                           : EXCHANGE_VOTE_UNI;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[1], PTX_PRED, insn, 0);
    if (!ret)
        ret = exchange_members(d, ast, 2, insn);
    return ret ? ret : exchange_widths(d, ast, insn, insn->mode == EXCHANGE_BALLOT ? 4 : 1, 1, 1);
}

int decode_match(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    enum ptx_type type = decode_last_type(ast);
    int ret;

    if (ast->n_operands < 2 || (type != PTX_B32 && type != PTX_B64))
        return decode_fail(d, -EINVAL, ast, "operands or type");
    insn->mode = decode_has(ast, "all") ? EXCHANGE_MATCH_ALL : EXCHANGE_MATCH_ANY;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret && ast->operands[0].second)
        ret = decode_destination(d, ast, ast->operands[0].second, insn, 1);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[1], type, insn, 0);
    if (!ret)
        ret = exchange_members(d, ast, 2, insn);
    return ret ? ret : exchange_widths(d, ast, insn, 4, 1, ptx_type_bytes(type));
}

int decode_redux(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    static const struct {
        const char *word;
        uint8_t mode;
    } operations[] = {{"add", EXCHANGE_REDUX_ADD}, {"min", EXCHANGE_REDUX_MIN}, {"max", EXCHANGE_REDUX_MAX},
                      {"and", EXCHANGE_REDUX_AND}, {"or", EXCHANGE_REDUX_OR},   {"xor", EXCHANGE_REDUX_XOR}};
    enum ptx_type type = decode_last_type(ast);
    int ret = -ENOTSUP;

    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (decode_has(ast, operations[i].word)) {
            insn->mode = operations[i].mode;
            ret = 0;
        }
    }
    if (ret || ast->n_operands < 2 || (type != PTX_U32 && type != PTX_S32 && type != PTX_B32))
        return decode_fail(d, -ENOTSUP, ast, "reduction not supported");
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret)
        ret = decode_source_at(d, ast, &ast->operands[1], type, insn, 0);
    if (!ret)
        ret = exchange_members(d, ast, 2, insn);
    return ret ? ret : exchange_widths(d, ast, insn, 4, 1, 4);
}

int decode_elect(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int ret;

    if (ast->n_operands != 2 || !ast->operands[0].second)
        return decode_fail(d, -EINVAL, ast, "operands");
    insn->mode = EXCHANGE_ELECT;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret)
        ret = decode_destination(d, ast, ast->operands[0].second, insn, 1);
    if (!ret)
        ret = exchange_members(d, ast, 1, insn);
    return ret ? ret : exchange_widths(d, ast, insn, 4, 1, 0);
}

int decode_activemask(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int ret;

    if (ast->n_operands != 1)
        return decode_fail(d, -EINVAL, ast, "operands");
    insn->run = run_activemask;
    insn->cost = COST_INT;
    ret = decode_destination(d, ast, &ast->operands[0], insn, 0);
    if (!ret && insn->dst[0] != OPERAND_NONE && insn->dst_bytes[0] != 4)
        ret = decode_fail(d, -EINVAL, ast, "a 32-bit register is wanted");
    return ret;
}

int decode_nanosleep(struct decoder *d, const struct ptx_insn *ast, struct insn *insn)
{
    int ret;

    if (ast->n_operands != 1)
        return decode_fail(d, -EINVAL, ast, "operands");
    insn->run = run_nanosleep;
    insn->cost = COST_CLOCK;
    ret = decode_source_at(d, ast, &ast->operands[0], PTX_U32, insn, 0);
    if (!ret && insn->src_bytes[0] != 4)
        ret = decode_fail(d, -EINVAL, ast, "a 32-bit operand is wanted");
    return ret;
}
