#include "completions/results.hpp"

#include <filesystem>
#include <iostream>
#include <utility>

#include "base/file.hpp"
#include "store/sealed_file.hpp"

namespace hydrajob {

Results::Results(const CompletionJob& job, const Task& task) : task_(task) {
  if (job.output.empty()) return;
  request_ = {job.output, output_format(job.output), task.id, job.with_tokens || !task.tokenizer,
              task.tokenizer != nullptr};
  std::filesystem::path journal = job.output;
  journal += ".partial";
  const bool is_written = holds_job(job.output, request_.format, task.id);
  // A kill may have come between the output and the end of its journal, which is whole then.
  is_done_ = is_written && !is_there(journal);
  if (is_done_) return;
  make_lasting_folder(job.output.parent_path());
  journal_.emplace(journal, task.id);
}

bool Results::has(std::int64_t number) const {
  if (is_done_) return true;
  return journal_ ? journal_->has(number) : unwritten_.count(number) > 0;
}

void Results::add(std::vector<Completion> completions) {
  if (journal_) return journal_->append(completions);
  for (Completion& completion : completions) {
    const std::int64_t number = completion.number;
    unwritten_.emplace(number, std::move(completion));
  }
}

void Results::finish() {
  if (!journal_) return print();
  write_output(request_, task_.requests, [&](std::int64_t number) { return journal_->read(number); });
  journal_->remove();
}

void Results::print() const {
  for (const auto& [number, completion] : unwritten_) {
    const std::size_t request = task_.request_of(number);
    print_completion(std::cout, request, number - task_.first_number[request], completion,
                     task_.tokenizer != nullptr);
  }
  flush_output();
}

std::string Results::where_kept() const {
  return journal_ ? "the same command goes on from there" : "nothing is kept without -o";
}

}  // namespace hydrajob
