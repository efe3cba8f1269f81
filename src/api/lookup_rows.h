/* The generated indexes into the rows of "api/lookup.h": position of a row by symbol order and by slot.
 * Private to src/api. */
#ifndef VGPU_API_LOOKUP_ROWS_H
#define VGPU_API_LOOKUP_ROWS_H

#include <stdint.h>

extern const uint16_t api_cuda_by_symbol[], api_cuda_by_slot[];
extern const uint16_t api_nvml_by_symbol[], api_nvml_by_slot[];

#endif
