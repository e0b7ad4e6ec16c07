/* Calls the compiled classifier: reads rows of four numbers from standard input, prints three probabilities a
 * row. */
#include "mlp.h"
#include <stdio.h>
#include <stdlib.h>

enum { IN = 4, CLASSES = 3, MOST_ROWS = 4096 }; /* as in mlp.mdl */

/* Returns how many rows it read, or -1 where something else than numbers, or too many of them, stand. */
static int64_t read_rows(float *x /* [MOST_ROWS, IN], and one more */) {
    int64_t count = 0;
    while (count <= MOST_ROWS * IN && scanf("%f", &x[count]) == 1) count++;
    return feof(stdin) && count % IN == 0 ? count / IN : -1;
}

/* Prints what went wrong; the program's exit status. */
static int complain(int status, const char *what) {
    fprintf(stderr, "classify: %s\n", what);
    return status;
}

static int classify(mlp_session *session, int64_t rows, const float *x) {
    static float y[MOST_ROWS * CLASSES];
    if (mlp_classify(session, rows, x, y) != MDL_OK) return complain(1, mlp_error(session));
    for (int64_t i = 0; i < rows; i++)
        printf("%.6f %.6f %.6f\n", (double)y[i * CLASSES], (double)y[i * CLASSES + 1],
               (double)y[i * CLASSES + 2]);
    if (fflush(stdout) || ferror(stdout)) return complain(3, "standard output cannot be written");
    return 0;
}

int main(void) {
    static float x[MOST_ROWS * IN + 1];
    char why[200] = "";
    struct mdl_options options = MDL_OPTIONS;
    options.error = why;
    options.error_size = sizeof why;
    mlp_model *model;
    mlp_session *session;
    int64_t rows = read_rows(x);
    if (ferror(stdin)) return complain(3, "standard input cannot be read");
    if (rows <= 0) return complain(1, "give rows of 4 numbers on standard input, at most 4096");
    if (mlp_open(NULL, &options, &model) != MDL_OK) return complain(1, why);
    int status = mlp_session_new(model, &session) == MDL_OK ? classify(session, rows, x)
                                                            : complain(70, mlp_error(NULL));
    mlp_session_free(session);
    mlp_close(model);
    return status;
}
