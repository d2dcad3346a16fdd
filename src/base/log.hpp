// Messages to the person. Rank 0 speaks; other ranks only when a log folder was asked for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace hydrajob::log {

// Once, at the start. `folder` given: every rank also writes folder/rank<rank>.log, from debug level up.
void start(int rank, const std::optional<std::filesystem::path>& folder, bool verbose);

void debug(const std::string& message);
void info(const std::string& message);
void warning(const std::string& message);
// Written by any rank.
void error(const std::string& message);

}  // namespace hydrajob::log
