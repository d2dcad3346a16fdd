// What completions are asked for: prompts by level, or a JSONL file with one a line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/architecture.hpp"
#include "tokenizer/tokenizer.hpp"

namespace hydrajob {

// What a prompt that says nothing else gets.
struct RequestDefaults {
  std::int64_t n = 1;                // completions
  std::int64_t max_new_tokens = 64;  // of each
  std::vector<std::string> stop;
  // What is put before and behind a text.
  Tokenizer::Around around = Tokenizer::Around::special_tokens;
};

struct Request {
  std::vector<TokenId> tokens;
  std::int64_t n = 1;
  std::int64_t max_new_tokens = 0;
  std::vector<std::string> stop;  // texts before which a completion ends
  std::string id;                 // as JSON: "7", "\"q7\""; empty: none was given
  std::string place;              // in messages: "prompts.jsonl:3"
};

// `levels`: root first, siblings separated by '|'. Node j of a level of m nodes hangs below node floor(j k /
// m) of the k above; m is a multiple of k. A prompt for each node of the last level: the tokens of its path,
// each text's by itself, the root's with `around`.
std::vector<Request> requests_of_levels(const std::vector<std::string>& levels, Tokenizer& tokenizer,
                                        const RequestDefaults& defaults);

// One JSON object a line, with "prompt" (text) or "tokens" (ids), and if wanted "id" (text or a whole
// number), "n", "max_new_tokens", "stop" (a text or a list); empty lines are left out. `tokenizer` null: the
// model has none. `origin`: the file's name.
std::vector<Request> requests_of_jsonl(const std::string& text, const std::string& origin,
                                       Tokenizer* tokenizer, const RequestDefaults& defaults);

// All of these throw UsageError that begins with the place.
void check_requests(const std::vector<Request>& requests, const Architecture& architecture);

}  // namespace hydrajob
