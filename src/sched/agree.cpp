#include "sched/agree.hpp"

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

}  // namespace hydrajob
