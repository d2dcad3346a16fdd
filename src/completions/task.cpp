#include "completions/task.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/json_text.hpp"

namespace hydrajob {
namespace {

using nlohmann::json;

std::vector<Request> requests_of(const CompletionJob& job, const std::string& input, Tokenizer* tokenizer) {
  if (!job.defaults.stop.empty() && !tokenizer) {
    throw UsageError(
        fmt::format("--stop: {} has no tokenizer: what is generated has no text", job.model.string()));
  }
  if (!job.levels.empty()) {
    if (!tokenizer) {
      throw UsageError(fmt::format("--prompt: {} has no tokenizer: expected --input with lists of 'tokens'",
                                   job.model.string()));
    }
    return requests_of_levels(job.levels, *tokenizer, job.defaults);
  }
  const std::string origin = job.input == "-" ? "standard input" : job.input.string();
  return requests_of_jsonl(input, origin, tokenizer, job.defaults);
}

// Where two jobs differ in any of this, their completions are not mixed.
std::string digest_of(const CompletionJob& job, const Task& task) {
  json all = {{"model", task.model.digest},
              {"dtype", name_of(task.dtype)},
              {"temperature", task.sampling.temperature},
              {"top_p", task.sampling.top_p},
              {"seed", task.sampling.seed},
              {"with_tokens", job.with_tokens}};
  for (std::size_t i = 0; i < task.requests.size(); ++i) {
    const Request& request = task.requests[i];
    all["prompts"].push_back(
        {request.tokens, request.n, request.max_new_tokens, request.stop, request.id, task.rules[i].eos});
  }
  return digest128(all.dump()).substr(0, 16);
}

}  // namespace

std::size_t Task::request_of(std::int64_t number) const {
  const auto next = std::upper_bound(first_number.begin(), first_number.end(), number);
  return static_cast<std::size_t>(next - first_number.begin()) - 1;
}

Task make_task(const CompletionJob& job, const std::string& input) {
  Task task;
  task.model = describe_model(job.model);
  const ModelText text = read_model_text(job.model);
  if (text.tokenizer) {
    task.tokenizer =
        make_tokenizer(text.tokenizer->kind, text.tokenizer->bytes, job.model.string() + "/tokenizer");
  }
  task.dtype = job.dtype.value_or(task.model.dtype);
  task.sampling.temperature =
      static_cast<float>(job.temperature.value_or(text.generation.temperature.value_or(1)));
  task.sampling.top_p = static_cast<float>(job.top_p.value_or(text.generation.top_p.value_or(1)));
  task.sampling.seed = job.seed;
  task.requests = requests_of(job, input, task.tokenizer.get());
  check_requests(task.requests, task.model.architecture);
  task.first_number = {0};
  for (const Request& request : task.requests) {
    task.first_number.push_back(task.first_number.back() + request.n);
    const auto eos = job.ignore_eos ? std::vector<TokenId>() : text.generation.eos_ids;
    task.rules.push_back({eos, request.stop, request.max_new_tokens});
  }
  task.id = digest_of(job, task);
  return task;
}

}  // namespace hydrajob
