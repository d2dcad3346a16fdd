// Messages to the person. Rank 0 speaks; other ranks only when a log folder was asked for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/exit_code.hpp"

namespace hydrajob::log {

// Once, at the start. `folder` given: every rank also writes folder/rank<rank>.log, from debug level up.
// Throws UsageError where that cannot be written.
void start(int rank, const std::optional<std::filesystem::path>& folder, bool verbose);

// Whether this rank's console shows debug messages.
bool shows_details();

void debug(const std::string& message);
void info(const std::string& message);
void warning(const std::string& message);
// Written by any rank.
void error(const std::string& message);
// Inside a handler: says as an error what was thrown. The exit code that it leads to: an Error's own, 1 for
// what nobody expected.
ExitCode exception_in_flight();

}  // namespace hydrajob::log
