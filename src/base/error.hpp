// Exceptions. Each carries the exit code it leads to when nobody handles it; the message is one line that
// says where, which value, and what was expected.
#pragma once

#include <stdexcept>
#include <string>

#include "base/exit_code.hpp"

namespace hydrajob {

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// A wrong command line, configuration, model file or environment: found before anything runs.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};

class StoreError : public Error {
 public:
  explicit StoreError(const std::string& message) : Error(ExitCode::store, message) {}
};

// One run cannot be done; the sweep goes on and the run becomes a row with this reason.
class RunError : public Error {
 public:
  explicit RunError(const std::string& message) : Error(ExitCode::runs_failed, message) {}
};

// The run's memory cannot be had.
class OutOfMemory : public RunError {
 public:
  using RunError::RunError;
};

// The run passed its time limit.
class TimeLimit : public RunError {
 public:
  using RunError::RunError;
};

}  // namespace hydrajob
