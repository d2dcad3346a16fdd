// The completions of a job that are finished, and where they go: rank 0's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "completions/journal.hpp"
#include "completions/output.hpp"
#include "completions/task.hpp"

namespace hydrajob {

class Results {
 public:
  // Looks for the output, and for the journal of a start before. Both outlive this. Throws UsageError where
  // either is another job's, StoreError.
  Results(const CompletionJob& job, const Task& task);

  // The output is there already.
  bool is_done() const { return is_done_; }
  bool has(std::int64_t number) const;
  // On the disk when it returns, where there is an output.
  void add(std::vector<Completion> completions);
  // Of all completions: writes the output, or prints them.
  void finish();
  // Of a job that ends early: prints those that nothing keeps.
  void print() const;

  // For a person.
  std::string where_kept() const;

 private:
  const Task& task_;
  OutputRequest request_;
  bool is_done_ = false;
  std::optional<CompletionJournal> journal_;      // absent without an output
  std::map<std::int64_t, Completion> unwritten_;  // by number, without an output
};

}  // namespace hydrajob
