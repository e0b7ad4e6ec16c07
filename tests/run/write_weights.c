/* write_weights PATH [DAMAGE]: the hand-made model's weights file; DAMAGE is a number of enum
 * handmade_damage. */
#include "tests/run/handmade.h"
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    return handmade_write_weights(argv[1], argc > 2 ? (enum handmade_damage)atoi(argv[2]) : SOUND) ? 0 : 1;
}
