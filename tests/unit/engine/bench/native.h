// SPDX-License-Identifier: MIT
// The bench's kernels as loops of the host, compiled with everything this CPU has: what results must be, and how long
// the same work takes without an emulator.
#pragma once

#include "tests/unit/engine/bench/bodies.h"

namespace kfdlab::bench::native {

void saxpy(int items, float a, const float* x, float* y);
void copy(int items, const Quad* from, Quad* to);
void fill(int items, unsigned value, unsigned* to);
void matmul(const float* a, const float* b, float* c, int n);
void matmul(const double* a, const double* b, double* c, int n);
void nbody(const Quad* bodies, Quad* out, int n);
void mathf(int items, const float* x, float* y);
void mathd(int items, const double* x, double* y);
void division(int items, const int* x, int* y);
void stencil(const float* from, float* to, int n);
void chase(int items, const unsigned* next, unsigned* out, int steps);
void branches(int items, const unsigned* x, unsigned* out, int rounds);
void reduce(int items, const int* x, int* sum);
void scan(int items, const int* x, int* y);
void histogram(int items, const unsigned char* x, unsigned* counts);
void transpose(const float* from, float* to, int n);
void shuffle(int items, const int* x, int* y);

}  // namespace kfdlab::bench::native
