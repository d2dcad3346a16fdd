#include "config/place.hpp"

#include <cstddef>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/nearest.hpp"

namespace hydrajob {

void fail_at(const Place& place, const std::string& message) {
  throw UsageError(place.text + ": " + message);
}

std::string unknown_name(std::string_view what, std::string_view wrong,
                         const std::vector<std::string>& known) {
  constexpr std::size_t few = 8;
  std::string message = fmt::format("unknown {} '{}'", what, wrong);
  if (const auto near = nearest(wrong, known)) {
    message += fmt::format(": did you mean '{}'?", *near);
  } else if (known.size() <= few) {
    message += fmt::format(": expected {}", fmt::join(known, ", "));
  } else {
    message += ": docs/configuration.md lists all";
  }
  return message;
}

}  // namespace hydrajob
