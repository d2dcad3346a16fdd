// Steps that every rank takes and that all must survive: when one fails, all throw the same error before the
// next collective, so that none waits for one that gave up.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.hpp"
#include "comm/communicator.hpp"

namespace hydrajob {

// An error that every rank throws together.
class AgreedError : public Error {
 public:
  using Error::Error;
};

// Throws AgreedError on all ranks when any rank has an error: the first rank's. `error` null: none.
// Collective.
void agree_or_throw(Communicator& comm, const Error* error);

// Throws AgreedError on all ranks unless all have the same text: "rank 3 on n2 <differs> than rank 0 on n1:
// <remedy> have to be the same on every node". Collective.
void expect_same(Communicator& comm, const std::string& text, const char* differs, const char* remedy);

// Runs `step` on every rank, then agrees on how it went. Other exceptions than Error leave alone: they are
// defects.
template <class Step>
auto agreed(Communicator& comm, const Step& step) {
  using Result = std::invoke_result_t<Step>;
  std::optional<Error> error;
  if constexpr (std::is_void_v<Result>) {
    try {
      step();
    } catch (const Error& e) {
      error = e;
    }
    agree_or_throw(comm, error ? &*error : nullptr);
  } else {
    std::optional<Result> result;
    try {
      result.emplace(step());
    } catch (const Error& e) {
      error = e;
    }
    agree_or_throw(comm, error ? &*error : nullptr);
    return std::move(*result);
  }
}

}  // namespace hydrajob
