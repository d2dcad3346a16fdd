// How many CPU threads each rank of a node gets.
#pragma once

#include <string>

#include "comm/communicator.hpp"

namespace hydrajob {

// More of them than this in one process are a slip of the pen; thousands end it.
constexpr int most_threads = 1024;

// Throws UsageError where OMP_NUM_THREADS asks for more than most_threads.
void expect_possible_omp_num_threads();

// The cores this process may run on (its affinity mask), divided by the ranks of the node whose masks overlap
// its own; no more than its part of the CPU time that control groups grant; at least 1. `asked` > 0 is taken
// as it is; so is OMP_NUM_THREADS. Collective over the node's ranks.
int threads_per_rank(Communicator& node, int asked);

// Cores in this process's affinity mask, no more than control groups grant CPU time for.
int cores_available();

// The affinity mask, as "0-3,8": for provenance. Empty where the system does not say.
std::string affinity_list();

}  // namespace hydrajob
