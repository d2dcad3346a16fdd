#include "store/run_record.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace hydrajob {
namespace {

struct Name {
  RunStatus status;
  const char* text;
};
constexpr std::array<Name, 6> names{{{RunStatus::ok, "ok"},
                                     {RunStatus::failed, "failed"},
                                     {RunStatus::out_of_memory, "out_of_memory"},
                                     {RunStatus::timed_out, "timed_out"},
                                     {RunStatus::crashed, "crashed"},
                                     {RunStatus::skipped, "skipped"}}};

}  // namespace

std::string to_string(RunStatus status) {
  for (const Name& name : names) {
    if (name.status == status) return name.text;
  }
  return "unknown";
}

RunStatus parse_run_status(const std::string& text) {
  for (const Name& name : names) {
    if (text == name.text) return name.status;
  }
  throw StoreError("status '" + text +
                   "': expected ok, failed, out_of_memory, timed_out, crashed or skipped");
}

void drop_untold(SampleSeries& series) {
  const bool told = std::any_of(series.condition.begin(), series.condition.end(),
                                [](const SampleCondition& c) { return c != SampleCondition{}; });
  if (!told) series.condition.clear();
}

}  // namespace hydrajob
