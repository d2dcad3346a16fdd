#include "sched/messages.hpp"

#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace hydrajob {
namespace {

// A report without its text.
struct FixedReport {
  RunReport::Outcome outcome;
  RunStatus status;
  std::int64_t run;
  std::int32_t attempt;
  double wall_s;
  double headline_s;
};

template <class T>
std::string pack(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T unpack(const std::string& bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  if (bytes.size() < sizeof value) throw std::logic_error("scheduler message cut short");
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

std::string encode(const StageOrder& order) {
  return pack(order);
}
std::string encode(const RunOrder& order) {
  return pack(order);
}
std::string encode(const RunReport& r) {
  return pack(FixedReport{r.outcome, r.status, r.run, r.attempt, r.wall_s, r.headline_s}) + r.reason;
}
std::string encode(const LastWords& words) {
  return pack(words);
}

StageOrder decode_stage_order(const std::string& bytes) {
  return unpack<StageOrder>(bytes);
}
RunOrder decode_run_order(const std::string& bytes) {
  return unpack<RunOrder>(bytes);
}
RunReport decode_run_report(const std::string& bytes) {
  const auto f = unpack<FixedReport>(bytes);
  return {f.outcome, f.run, f.attempt, f.status, f.wall_s, f.headline_s, bytes.substr(sizeof f)};
}

LastWords decode_last_words(const std::string& bytes) {
  return unpack<LastWords>(bytes);
}

}  // namespace hydrajob
