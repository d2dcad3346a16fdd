// What a wrong input is told.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"

namespace hydrajob {

// The message of the UsageError that `action` throws; "no error" when it throws none.
inline std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace hydrajob
