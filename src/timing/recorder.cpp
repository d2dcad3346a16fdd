#include "timing/recorder.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>

namespace hydrajob {
namespace {

template <class T>
void put(std::string& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T take(const std::string& bytes, std::size_t& at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  at += sizeof value;
  return value;
}

// Between ranks of one program only: the machine's own byte order.
void put_sample(std::string& bytes, const PhaseSample& sample) {
  put(bytes, static_cast<std::uint32_t>(sample.phase.size()));
  bytes += sample.phase;
  put(bytes, sample.iteration);
  put(bytes, sample.step);
  put(bytes, sample.warmup);
  put(bytes, sample.seconds);
  put(bytes, sample.condition);
}

PhaseSample take_sample(const std::string& bytes, std::size_t& at, std::int32_t rank) {
  PhaseSample sample;
  const auto length = take<std::uint32_t>(bytes, at);
  sample.phase = bytes.substr(at, length);
  at += length;
  sample.iteration = take<std::int32_t>(bytes, at);
  sample.step = take<std::int32_t>(bytes, at);
  sample.warmup = take<bool>(bytes, at);
  sample.seconds = take<double>(bytes, at);
  sample.condition = take<DeviceCondition>(bytes, at);
  sample.rank = rank;
  return sample;
}

}  // namespace

Recorder::Recorder(Device& device, Communicator& group) : device_(device), group_(group) {}

std::size_t Recorder::begin(const std::string& phase, std::int32_t iteration, std::int32_t step,
                            bool warmup) {
  Interval interval;
  interval.sample.phase = phase;
  interval.sample.iteration = iteration;
  interval.sample.step = step;
  interval.sample.warmup = warmup;
  intervals_.push_back(std::move(interval));
  intervals_.back().begin = device_.mark();  // last: nothing of ours inside the interval
  return intervals_.size() - 1;
}

void Recorder::end(std::size_t interval) {
  intervals_[interval].end = device_.mark();
}

void Recorder::observe(std::size_t first) {
  if (first >= intervals_.size()) return;
  const std::size_t middle = first + (intervals_.size() - first - 1) / 2;
  const auto condition = device_.condition_after(*intervals_[middle].begin);
  if (!condition) return;
  for (std::size_t i = first; i < intervals_.size(); ++i) intervals_[i].sample.condition = *condition;
}

std::vector<PhaseSample> Recorder::collect() {
  device_.synchronize();
  std::string mine;
  for (Interval& interval : intervals_) {
    if (!interval.end) continue;  // begun, then abandoned by an exception
    interval.sample.seconds = device_.seconds_between(*interval.begin, *interval.end);
    put_sample(mine, interval.sample);
  }
  intervals_.clear();
  const std::vector<std::string> all = group_.all_gather(mine);
  std::vector<PhaseSample> samples;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    for (std::size_t at = 0; at < all[rank].size();) {
      samples.push_back(take_sample(all[rank], at, static_cast<std::int32_t>(rank)));
    }
  }
  return samples;
}

std::vector<double> slowest_rank(const std::vector<PhaseSample>& samples, const std::string& phase,
                                 bool warmup) {
  std::map<std::pair<std::int32_t, std::int32_t>, double> slowest;
  for (const PhaseSample& sample : samples) {
    if (sample.phase != phase || sample.warmup != warmup) continue;
    double& seconds = slowest[{sample.iteration, sample.step}];
    seconds = std::max(seconds, sample.seconds);
  }
  std::vector<double> result;
  result.reserve(slowest.size());
  for (const auto& [key, seconds] : slowest) result.push_back(seconds);
  return result;
}

}  // namespace hydrajob
