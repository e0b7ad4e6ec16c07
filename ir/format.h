/* Storage formats: how a tensor's elements lie in a weight file and in a compiled model's weights. */
#ifndef IR_FORMAT_H
#define IR_FORMAT_H

enum format {
#define FORMAT(name, elements, bytes) FORMAT_##name,
#include "ir/formats.def"
#undef FORMAT
    FORMAT_COUNT
};

#endif
