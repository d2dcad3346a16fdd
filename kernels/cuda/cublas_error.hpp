// Every cuBLASLt call is checked here.
#pragma once

#include <cublasLt.h>

namespace hydrajob::cuda {

// Throws RunError "cuBLASLt: <call>: <what the library says>" unless `status` is success.
void check_cublas(cublasStatus_t status, const char* call);

}  // namespace hydrajob::cuda

#define HJ_CUBLAS_CHECK(call) ::hydrajob::cuda::check_cublas((call), #call)
