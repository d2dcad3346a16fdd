#include "base/log.hpp"

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/error.hpp"

namespace hydrajob::log {
namespace {

std::shared_ptr<spdlog::logger> make_default() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("hydrajob", sink);
  logger->set_pattern("%v");
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_default();
  return instance;
}

spdlog::sink_ptr file_of_rank(int rank, const std::filesystem::path& folder) {
  try {
    std::filesystem::create_directories(folder);
    const auto path = folder / ("rank" + std::to_string(rank) + ".log");
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  } catch (const std::exception& e) {
    throw UsageError("log folder " + folder.string() + " cannot be written: " + e.what());
  }
}

}  // namespace

void start(int rank, const std::optional<std::filesystem::path>& folder, bool verbose) {
  auto console = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  console->set_pattern(rank == 0 ? "%^%v%$" : "[rank " + std::to_string(rank) + "] %^%v%$");
  const auto shown = verbose ? spdlog::level::debug : spdlog::level::info;
  console->set_level(rank == 0 ? shown : spdlog::level::err);
  std::vector<spdlog::sink_ptr> sinks{std::move(console)};
  if (folder) {
    auto file = file_of_rank(rank, *folder);
    file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    file->set_level(spdlog::level::debug);
    sinks.push_back(std::move(file));
  }
  logger() = std::make_shared<spdlog::logger>("hydrajob", sinks.begin(), sinks.end());
  logger()->set_level(spdlog::level::debug);
  // What a rank did last is what a person looks for after a crash.
  logger()->flush_on(spdlog::level::debug);
}

bool shows_details() {
  return logger()->should_log(spdlog::level::debug) &&
         logger()->sinks().front()->should_log(spdlog::level::debug);
}

void debug(const std::string& message) {
  logger()->debug("{}", message);
}
void info(const std::string& message) {
  logger()->info("{}", message);
}
void warning(const std::string& message) {
  logger()->warn("warning: {}", message);
}
void error(const std::string& message) {
  logger()->error("error: {}", message);
}

ExitCode exception_in_flight() {
  try {
    throw;
  } catch (const Error& e) {
    error(e.what());
    return e.code();
  } catch (const std::exception& e) {
    error(std::string("unexpected: ") + e.what());
  } catch (...) {
    error("unexpected: an exception that is no std::exception");
  }
  return ExitCode::runs_failed;
}

}  // namespace hydrajob::log
