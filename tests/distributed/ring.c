/* Our own collectives, every kind for N = 1..5 ranks, all element types and operations, even and uneven
 * sizes: results against sums made one by one, bytes against the formula. Ranks are threads; under mpirun
 * each process is one: tests/distributed/ring            mpirun -np 4 tests/distributed/ring openmpi */
#include "runtime/ring.h"
#include "runtime/reduce.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_RANKS = 5, MOST_ELEMENTS = 300, CHANNEL = 7 };

struct rank {
    struct mdl_comm *comm;
    int wrong, done;
    pthread_t thread;
};

/* Small whole numbers, which all types hold, as do their sums and products of few; bool: 0, 1. */
static double value(uint32_t dtype, uint32_t op, int rank, uint64_t i) {
    if (dtype == MDL_BOOL) return (double)((i * 7 + (uint64_t)rank * 3) % 5 < 2);
    if (op == MDL_PROD) return (double)(1 + (i + (uint64_t)rank) % 2);
    return (double)((i * 13 + (uint64_t)rank * 5) % 11);
}

static uint16_t half(double x, int bf16) {
    float f = (float)x;
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    if (bf16) return (uint16_t)(b >> 16);
    return x == 0 ? 0 : (uint16_t)((b >> 13) - (112u << 10));
}

static void store(uint32_t dtype, void *data, uint64_t i, double x) {
    switch ((enum mdl_dtype)dtype) {
    case MDL_F64:
        ((double *)data)[i] = x;
        break;
    case MDL_F32:
        ((float *)data)[i] = (float)x;
        break;
    case MDL_F16:
        ((uint16_t *)data)[i] = half(x, 0);
        break;
    case MDL_BF16:
        ((uint16_t *)data)[i] = half(x, 1);
        break;
    case MDL_I64:
        ((int64_t *)data)[i] = (int64_t)x;
        break;
    case MDL_I32:
        ((int32_t *)data)[i] = (int32_t)x;
        break;
    case MDL_I16:
        ((int16_t *)data)[i] = (int16_t)x;
        break;
    case MDL_I8:
        ((int8_t *)data)[i] = (int8_t)x;
        break;
    case MDL_U8:
    case MDL_BOOL:
        ((uint8_t *)data)[i] = (uint8_t)x;
        break;
    }
}

static double combined(uint32_t dtype, uint32_t op, int ranks, uint64_t i) {
    double x = value(dtype, op, 0, i);
    for (int r = 1; r < ranks; r++) {
        double y = value(dtype, op, r, i);
        if (op == MDL_MAX || (dtype == MDL_BOOL && op == MDL_SUM))
            x = x > y ? x : y;
        else if (op == MDL_MIN)
            x = x < y ? x : y;
        else if (op == MDL_SUM)
            x += y;
        else
            x *= y;
    }
    return x;
}

/* What member `own` must have at place i. */
static double expected(const struct ring *r, uint64_t i) {
    uint64_t d = r->elements ? r->elements : 1, own = (uint64_t)r->own;
    switch ((enum mdl_collective_kind)r->kind) {
    case MDL_ALL_REDUCE:
        return combined(r->dtype, r->reduction, r->count, i);
    case MDL_ALL_GATHER:
        return value(r->dtype, r->reduction, (int)(i / d), i % d);
    case MDL_REDUCE_SCATTER:
        return combined(r->dtype, r->reduction, r->count, own * d + i);
    case MDL_ALL_TO_ALL:
        return value(r->dtype, r->reduction, (int)(i / d), own * d + i % d);
    default:
        break;
    }
    int from = -1; /* PERMUTE */
    for (int m = 0; m < r->count; m++)
        if (r->peers[m] == r->own) from = m;
    return from < 0 ? 0 : value(r->dtype, r->reduction, from, i);
}

/* Bytes that the rank sends: shared/distributed.md. */
static uint64_t formula(const struct ring *r) {
    uint64_t n = (uint64_t)r->count, d = r->elements, size = reduce_bytes[r->dtype], sent = 0;
    if (r->kind == MDL_PERMUTE) return r->peers[r->own] < 0 || r->peers[r->own] == r->own ? 0 : d * size;
    if (r->kind != MDL_ALL_REDUCE) return (n - 1) * d * size;
    uint64_t first = (uint64_t)(r->own + 1) % n,
             second = (uint64_t)(r->own + 2) % n; /* chunks never sent in a phase */
    uint64_t missing[] = {first, second};
    for (int phase = 0; phase < 2 && n > 1; phase++) sent += d - (d / n + (missing[phase] < d % n));
    return sent * size;
}

static bool run(struct ring *r) {
    int status;
    ring_begin(r);
    while (!(status = ring_advance(r))) r->comm->engine->wait(r->comm, 1000, 0);
    if (status < 0) fprintf(stderr, "rank %d: %s\n", r->comm->rank, r->comm->error);
    return status == MDL_FINISHED;
}

static int complain(const struct ring *r, const char *what, double have, double want) {
    fprintf(stderr, "ring: N = %d, rank %d, kind %u, type %u, op %u, %llu elements: %s %g, not %g\n",
            r->count, r->own, r->kind, r->dtype, r->reduction, (unsigned long long)r->elements, what, have,
            want);
    return 1;
}

static int check(struct ring *r) {
    static _Thread_local uint64_t in[MOST_RANKS * MOST_ELEMENTS], out[MOST_RANKS * MOST_ELEMENTS],
        scratch[2 * MOST_ELEMENTS], wanted[1];
    uint64_t size = reduce_bytes[r->dtype];
    for (uint64_t i = 0; i < ring_in_bytes(r) / size; i++)
        store(r->dtype, in, i, value(r->dtype, r->reduction, r->own, i));
    memset(out, 0x77, sizeof out);
    r->in = in;
    r->out = out;
    r->scratch = scratch;
    if (ring_scratch(r) > sizeof scratch)
        return complain(r, "scratch", (double)ring_scratch(r), sizeof scratch);
    if (!run(r)) return 1;
    if (r->sent != formula(r)) return complain(r, "sent bytes", (double)r->sent, (double)formula(r));
    for (uint64_t i = 0; i < ring_out_bytes(r) / size; i++) {
        store(r->dtype, wanted, 0, expected(r, i));
        if (memcmp((char *)out + i * size, wanted, size))
            return complain(r, "wrong element", (double)i, expected(r, i));
    }
    return ((unsigned char *)out)[ring_out_bytes(r)] != 0x77 ? complain(r, "wrote past", 0, 0) : 0;
}

static const int32_t members[] = {0, 1, 2, 3, 4};
static const int32_t permutations[][MOST_RANKS] = {{1, 2, 3, 4, 0}, {-1, 0, 1, 2, 3}, {0, 1, 2, 3, 4}};

/* Round the ranks, one after the other: single messages. */
static int check_messages(struct rank *rank, int32_t n) {
    uint64_t data[3] = {1, 2, 3}, got[3] = {0};
    for (int32_t from = 0; from < n; from++) {
        int32_t to = (from + 1) % n;
        if (n == 1 || (rank->comm->rank != from && rank->comm->rank != to)) continue;
        bool sends = rank->comm->rank == from;
        int32_t peer = sends ? to : from;
        struct ring r = {.comm = rank->comm,
                         .members = members,
                         .count = n,
                         .own = rank->comm->rank,
                         .channel = CHANNEL + 1,
                         .kind = sends ? MDL_SEND : MDL_RECEIVE,
                         .dtype = MDL_I64,
                         .elements = 3,
                         .in = data,
                         .out = got,
                         .peers = &peer};
        if (!run(&r) || (!sends && memcmp(got, data, sizeof data))) return 1;
        if (r.sent != (sends ? sizeof data : 0)) return 1;
    }
    return 0;
}

static void check_all(struct rank *rank) {
    static const uint64_t sizes[] = {0, 1, 2, 3, 5, 7, 64, 131, 240};
    int32_t n = rank->comm->size;
    for (uint32_t kind = 0; kind <= MDL_PERMUTE; kind++)
        for (uint32_t dtype = 0; dtype <= MDL_BOOL; dtype++)
            for (uint32_t op = 0; op <= MDL_PROD; op++)
                for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                    if (kind != MDL_ALL_REDUCE && kind != MDL_REDUCE_SCATTER && op) continue;
                    for (int p = 0; p < (kind == MDL_PERMUTE ? 3 : 1); p++) {
                        int32_t to[MOST_RANKS];
                        for (int i = 0; i < MOST_RANKS; i++)
                            to[i] = permutations[p][i] < n ? permutations[p][i] : p ? -1 : 0;
                        struct ring r = {.comm = rank->comm,
                                         .members = members,
                                         .count = n,
                                         .own = rank->comm->rank,
                                         .channel = CHANNEL,
                                         .kind = kind,
                                         .dtype = dtype,
                                         .reduction = op,
                                         .elements = sizes[s],
                                         .peers = to};
                        rank->wrong += check(&r);
                        rank->done++;
                    }
                }
    rank->wrong += check_messages(rank, n);
}

static void *work(void *argument) {
    check_all(argument);
    return NULL;
}

static int with_threads(int32_t n) {
    struct mdl_comm *comms[MOST_RANKS];
    struct rank ranks[MOST_RANKS] = {0};
    int wrong = 0;
    if (mdl_comm_threads(n, comms)) return 1;
    for (int32_t i = 0; i < n; i++) {
        ranks[i].comm = comms[i];
        pthread_create(&ranks[i].thread, NULL, work, &ranks[i]);
    }
    for (int32_t i = 0; i < n; i++) {
        pthread_join(ranks[i].thread, NULL);
        wrong += ranks[i].wrong;
        mdl_comm_close(comms[i]);
    }
    return wrong + (ranks[0].done < 900);
}

static int with_processes(const char *engine) {
    char why[512];
    struct rank rank = {0};
    if (mdl_comm_open(engine, why, sizeof why, &rank.comm)) {
        fprintf(stderr, "ring: %s\n", why);
        return 1;
    }
    if (rank.comm->size <= MOST_RANKS) check_all(&rank);
    int32_t number = rank.comm->rank, size = rank.comm->size;
    mdl_comm_close(rank.comm);
    if (!number) printf("%s: %d ranks, %d collectives, %d wrong\n", engine, size, rank.done, rank.wrong);
    return rank.wrong != 0 || rank.done < 900;
}

/* 65520 and half of f16's smallest number round away; NaN stays NaN; what is computed is rounded each time.
 */
static int check_halves(void) {
    uint16_t a[] = {0x7bff, 0x0001, 0x7e00, 0x3c00, 0xfc00}, b[] = {0x4c00, 0x0001, 0x3c00, 0x1400, 0x3c00},
             c[] = {0x7c00, 0x0002, 0x7e00, 0x3c01, 0xfc00}, x[] = {0x3f80, 0x7f7f, 0x7fc0},
             y[] = {0x3b80, 0x7f7f, 0x3f80}, z[] = {0x3f80, 0x7f80, 0x7fc0};
    reduce(MDL_F16, MDL_SUM, a, b, 5);
    reduce(MDL_BF16, MDL_SUM, x, y, 3);
    return memcmp(a, c, sizeof a) || memcmp(x, z, sizeof x);
}

int main(int argc, char **argv) {
    if (argc > 1) return with_processes(argv[1]);
    int wrong = check_halves();
    if (wrong) fprintf(stderr, "ring: halves are rounded wrong\n");
    for (int32_t n = 1; n <= MOST_RANKS; n++) wrong += with_threads(n);
    return wrong != 0;
}
