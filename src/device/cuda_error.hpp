// Every CUDA call is checked here.
#pragma once

#include <cuda_runtime_api.h>

namespace hydrajob {

// Throws RunError "CUDA: <call>: <what the runtime says>" unless `status` is success.
void check_cuda(cudaError_t status, const char* call);

}  // namespace hydrajob

#define HJ_CUDA_CHECK(call) ::hydrajob::check_cuda((call), #call)
