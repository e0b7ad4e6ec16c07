/* The far end of compiled.c's pipes: compiled for a model's own kind of machine, it makes the calls that come
 * in. remote LIBRARY */
#include "tests/numeric/pair.h"

int main(int argc, char **argv) {
    struct pair p = {0};
    struct pair_call c;
    if (argc != 2 || !pair_open(&p, argv[1])) return 1;
    while (pair_receive_call(stdin, p.descriptor, &c)) {
        pair_call_run(&p, &c);
        if (!pair_send_results(stdout, &c)) return 1;
        pair_call_end(&c);
    }
    pair_close(&p);
    return 0;
}
