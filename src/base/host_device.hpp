// Marks the arithmetic that backends must share exactly: compiled for the GPU too where a CUDA compiler reads
// it.
#pragma once

#ifdef __CUDACC__
#define HJ_HOST_DEVICE __host__ __device__
#else
#define HJ_HOST_DEVICE
#endif
