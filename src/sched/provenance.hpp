// Where and with what a result was made: the JSON text that each record keeps as its `environment`.
#pragma once

#include <string>

#include "comm/communicator.hpp"
#include "grid/cost_model.hpp"
#include "sched/machine.hpp"

namespace hydrajob {

// "hydrajob 0.1.0 (commit 1a2b3c, changed)".
std::string version_text();

// Digest of the sources that shape a result (cmake/code_digest.cmake): part of every run's identity.
std::string code_digest();

// A JSON object: version, commit, compiler, libraries, command line, ceilings, Slurm job, allow-listed
// environment variables, and of every rank its host, cores, threads and device. The same text on all ranks.
// Collective.
std::string describe_environment(Communicator& world, const Machine& machine,
                                 const CeilingsByDevice& ceilings, const std::string& command_line);

}  // namespace hydrajob
