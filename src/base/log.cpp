#include "base/log.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

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

}  // namespace

void start(int rank, const std::optional<std::filesystem::path>& folder, bool verbose) {
  auto console = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  console->set_pattern(rank == 0 ? "%^%v%$" : "[rank " + std::to_string(rank) + "] %^%v%$");
  const auto shown = verbose ? spdlog::level::debug : spdlog::level::info;
  console->set_level(rank == 0 ? shown : spdlog::level::err);
  std::vector<spdlog::sink_ptr> sinks{std::move(console)};
  if (folder) {
    std::filesystem::create_directories(*folder);
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(
        (*folder / ("rank" + std::to_string(rank) + ".log")).string());
    file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    file->set_level(spdlog::level::debug);
    sinks.push_back(std::move(file));
  }
  logger() = std::make_shared<spdlog::logger>("hydrajob", sinks.begin(), sinks.end());
  logger()->set_level(spdlog::level::debug);
  logger()->flush_on(spdlog::level::info);
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

}  // namespace hydrajob::log
