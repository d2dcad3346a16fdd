#include "sched/agree.hpp"

#include <vector>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/process.hpp"

namespace hydrajob {

void agree_or_throw(Communicator& comm, const Error* error) {
  // The exit code travels before the message: "2 configs/a.yaml:3:1: …".
  std::string mine;
  if (error) mine = std::to_string(static_cast<int>(error->code())) + " " + error->what();
  const std::string first = agree_on_error(comm, mine);
  if (first.empty()) return;
  const auto space = first.find(' ');
  throw AgreedError(static_cast<ExitCode>(std::stoi(first.substr(0, space))), first.substr(space + 1));
}

void expect_same(Communicator& comm, const std::string& text, const char* differs, const char* remedy) {
  // "digest host": texts are long.
  const std::vector<std::string> all = comm.all_gather(digest128(text) + " " + host_name());
  const auto digest = [&](std::size_t rank) { return all[rank].substr(0, all[rank].find(' ')); };
  const auto host = [&](std::size_t rank) { return all[rank].substr(all[rank].find(' ') + 1); };
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (digest(rank) == digest(0)) continue;
    throw AgreedError(ExitCode::usage,
                      fmt::format("rank {} on {} {} than rank 0 on {}: {} have to be the same on every node",
                                  rank, host(rank), differs, host(0), remedy));
  }
}

}  // namespace hydrajob
