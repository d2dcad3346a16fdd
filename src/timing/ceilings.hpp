// Measures what this machine can give a rank: the rate of one large matrix product and of a copy, all ranks
// of the communicator busy at once.
#pragma once

#include "base/dtype.hpp"
#include "comm/communicator.hpp"
#include "device/device.hpp"
#include "grid/cost_model.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob {

// The slowest rank's figures, the same on all ranks. About half a second. Collective.
Ceilings measure_ceilings(Device& device, Kernels& kernels, Communicator& comm, DType dtype);

}  // namespace hydrajob
