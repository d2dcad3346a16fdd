// What a job is to generate, read and checked: the same on all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "completions/completion.hpp"
#include "completions/job.hpp"
#include "completions/request.hpp"
#include "kernels/kernels.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {

struct Task {
  ModelDescription model;
  DType dtype = DType::f32;
  SamplingArgs sampling;
  std::unique_ptr<Tokenizer> tokenizer;  // null: the model has none
  std::vector<Request> requests;
  std::vector<std::int64_t> first_number;  // of each request's completions; one more: how many there are
  std::vector<EndRules> rules;             // by request
  std::string id;                          // digest of all that shapes the completions

  std::int64_t completions() const { return first_number.back(); }
  std::size_t request_of(std::int64_t number) const;  // whose completion it is
};

// `input`: what the job's input holds. Throws UsageError.
Task make_task(const CompletionJob& job, const std::string& input);

}  // namespace hydrajob
