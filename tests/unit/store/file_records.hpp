// Run records for tests of the store: random ones, what reading them back must give, and their text.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "store/run_record.hpp"

namespace hydrajob::test {

// Records as sweeps leave them, with every kind of hole: parameters of all types and of types that differ
// between runs, metrics and phases that only some runs have, texts that need quoting. The same seed, the same
// records.
class RandomRecords {
 public:
  explicit RandomRecords(unsigned seed) : random_(seed) {}
  std::vector<RunRecord> records(std::size_t n);
  RunRecord record();

 private:
  std::int64_t below(std::int64_t end);  // 0..end-1
  bool often() { return below(10) < 7; }
  double real();
  std::string text();
  Value parameter(int kind);
  SampleSeries series(const std::string& phase, bool warmup);

  std::mt19937_64 random_;
};

// What the store's one type a column makes of the records: a parameter's values of several types become one
// type, the samples of a run come by phase, measured before warm-up.
std::vector<RunRecord> as_read(std::vector<RunRecord> records);

// Every field, with types and all digits: equal texts, equal records.
std::string describe(const RunRecord& record);
std::string describe(const std::vector<RunRecord>& records);

// The smallest record that verify accepts.
RunRecord small_record(const std::string& run_id = std::string(32, 'a'), std::int32_t attempt = 1);

}  // namespace hydrajob::test
