// The documents that an experiment's needle runs make of texts, each read and tokenized once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "config/place.hpp"
#include "grid/run_spec.hpp"
#include "tokenizer/tokenizer.hpp"

namespace hydrajob {

// The tokenizer that a weights file holds; null: none. Throws UsageError.
using ReadTokenizer = std::function<std::shared_ptr<Tokenizer>(const std::string& weights)>;

class NeedleTexts {
 public:
  explicit NeedleTexts(ReadTokenizer read_tokenizer);

  // Gives the run its task, the digest of that, and the lengths of its document and of its longest question,
  // by weights, text, facts, few_shot and text_length. Throws UsageError at the place of the parameter to
  // blame, which `place_of` knows.
  void fill(RunSpec& spec, const std::function<const Place&(std::string_view parameter)>& place_of);

 private:
  struct Tokenized {
    std::shared_ptr<const NeedleTask> task;
    std::string digest;
    std::int64_t longest_question = 0;  // tokens
  };
  using PlaceOf = std::function<const Place&(std::string_view parameter)>;

  Tokenized make(const RunSpec& spec, const PlaceOf& place_of);
  std::shared_ptr<Tokenizer> tokenizer_of(const RunSpec& spec, const PlaceOf& place_of);

  ReadTokenizer read_tokenizer_;
  std::map<std::string, std::shared_ptr<Tokenizer>> tokenizers_;  // by weights
  std::map<std::tuple<std::string, std::string, std::string, std::int64_t, std::int64_t>, Tokenized> known_;
};

}  // namespace hydrajob
