#include "completions/request.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "base/nearest.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"

namespace hydrajob {
namespace {

using nlohmann::json;

std::vector<std::string> siblings_of(const std::string& level) {
  std::vector<std::string> texts(1);
  for (const char c : level) {
    if (c == '|') {
      texts.emplace_back();
    } else {
      texts.back() += c;
    }
  }
  return texts;
}

Request with_defaults(const RequestDefaults& defaults) {
  Request request;
  request.n = defaults.n;
  request.max_new_tokens = defaults.max_new_tokens;
  request.stop = defaults.stop;
  return request;
}

// One line of a JSONL file.
class Line {
 public:
  Line(const std::string& text, std::string place, Tokenizer* tokenizer, const RequestDefaults& defaults)
      : object_(parse_json_object(text, place)),
        place_(std::move(place)),
        tokenizer_(tokenizer),
        request_(with_defaults(defaults)),
        around_(defaults.around) {}

  Request request() {
    expect_known_keys();
    request_.place = place_;
    take_prompt();
    if (object_.contains("id")) take_id();
    if (object_.contains("n")) request_.n = whole_number("n", 1);
    if (object_.contains("max_new_tokens")) request_.max_new_tokens = whole_number("max_new_tokens", 1);
    if (object_.contains("stop")) take_stop();
    return std::move(request_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const { throw UsageError(place_ + ": " + why); }

  void expect_known_keys() const {
    static const std::vector<std::string> known{"id", "max_new_tokens", "n", "prompt", "stop", "tokens"};
    for (const auto& [key, value] : object_.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const auto close = nearest(key, known);
      refuse(fmt::format("unknown key '{}'{}", printable(key),
                         close ? fmt::format(": did you mean '{}'?", *close) : ""));
    }
  }

  void take_prompt() {
    if (object_.contains("prompt") == object_.contains("tokens"))
      refuse("expected either 'prompt' or 'tokens'");
    if (object_.contains("prompt")) {
      if (!object_["prompt"].is_string()) refuse("prompt: expected a text");
      if (!tokenizer_) refuse("prompt: the model file has no tokenizer: expected 'tokens'");
      request_.tokens = tokenizer_->encode(object_["prompt"].get<std::string>(), around_);
      return;
    }
    const json& ids = object_["tokens"];
    if (!ids.is_array()) refuse("tokens: expected a list of token ids");
    for (const json& id : ids) {
      const bool fits = id.is_number_integer() && id >= 0 && id <= std::numeric_limits<TokenId>::max();
      if (!fits) refuse(fmt::format("tokens: {}: expected a token id", printable(id.dump())));
      request_.tokens.push_back(id.get<TokenId>());
    }
  }

  void take_id() {
    const json& id = object_["id"];
    if (!id.is_string() && !id.is_number_integer()) refuse("id: expected a text or a whole number");
    request_.id = id.dump();
  }

  std::int64_t whole_number(const char* key, std::int64_t least) const {
    const json& value = object_[key];
    constexpr auto most = std::numeric_limits<std::int32_t>::max();
    if (!value.is_number_integer() || value < least || value > most) {
      refuse(fmt::format("{}: {}: expected a whole number from {}", key, printable(value.dump()), least));
    }
    return value.get<std::int64_t>();
  }

  void take_stop() {
    const json stop = object_["stop"].is_array() ? object_["stop"] : json::array({object_["stop"]});
    request_.stop.clear();
    for (const json& text : stop) {
      if (!text.is_string() || text.get<std::string>().empty())
        refuse("stop: expected a text or a list of texts");
      request_.stop.push_back(text.get<std::string>());
    }
    if (!request_.stop.empty() && !tokenizer_)
      refuse("stop: the model file has no tokenizer: what is generated has no text");
  }

  json object_;
  std::string place_;
  Tokenizer* tokenizer_;
  Request request_;
  Tokenizer::Around around_;
};

void check_request(const Request& request, const Architecture& architecture) {
  if (request.tokens.empty()) throw UsageError(request.place + ": the prompt has no tokens");
  for (const TokenId id : request.tokens) {
    if (id >= 0 && id < architecture.vocab) continue;
    throw UsageError(
        fmt::format("{}: token id {}: expected 0 to {}", request.place, id, architecture.vocab - 1));
  }
  const auto prompt = static_cast<std::int64_t>(request.tokens.size());
  if (prompt + request.max_new_tokens <= architecture.max_positions) return;
  throw UsageError(fmt::format("{}: {} tokens and {} new ones: {} has {} positions", request.place, prompt,
                               request.max_new_tokens, architecture.name, architecture.max_positions));
}

}  // namespace

std::vector<Request> requests_of_levels(const std::vector<std::string>& levels, Tokenizer& tokenizer,
                                        const RequestDefaults& defaults) {
  std::vector<std::vector<TokenId>> above(1);
  for (std::size_t depth = 0; depth < levels.size(); ++depth) {
    const std::vector<std::string> texts = siblings_of(levels[depth]);
    if (texts.size() % above.size() != 0) {
      throw UsageError(
          fmt::format("--prompt '{}': level {} has {} texts: expected a multiple of the {} above",
                      printable(levels[depth]), depth + 1, texts.size(), above.size()));
    }
    std::vector<std::vector<TokenId>> paths;
    for (std::size_t j = 0; j < texts.size(); ++j) {
      const auto around = depth == 0 ? defaults.around : Tokenizer::Around::nothing;
      std::vector<TokenId> path = above[j * above.size() / texts.size()];
      const std::vector<TokenId> own = tokenizer.encode(texts[j], around);
      path.insert(path.end(), own.begin(), own.end());
      paths.push_back(std::move(path));
    }
    above = std::move(paths);
  }
  std::vector<Request> requests;
  for (std::vector<TokenId>& tokens : above) {
    requests.push_back(with_defaults(defaults));
    requests.back().tokens = std::move(tokens);
    requests.back().place = fmt::format("--prompt: prompt {}", requests.size());
  }
  return requests;
}

std::vector<Request> requests_of_jsonl(const std::string& text, const std::string& origin,
                                       Tokenizer* tokenizer, const RequestDefaults& defaults) {
  std::vector<Request> requests;
  std::size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = fmt::format("{}:{}", origin, number);
    if (!is_utf8(line)) throw UsageError(place + ": is not UTF-8");
    requests.push_back(Line(line, place, tokenizer, defaults).request());
  }
  if (requests.empty()) throw UsageError(origin + ": has no prompts");
  return requests;
}

void check_requests(const std::vector<Request>& requests, const Architecture& architecture) {
  std::int64_t completions = 0;
  for (const Request& request : requests) {
    check_request(request, architecture);
    completions += request.n;
  }
  constexpr std::int64_t most = std::int64_t{1} << 24;  // all are known at once, some 130 bytes each
  if (completions <= most) return;
  throw UsageError(
      fmt::format("{} completions of {} prompts: expected {} at most in one job; give parts of the "
                  "prompts, or of -n with other seeds, to several",
                  completions, requests.size(), most));
}

}  // namespace hydrajob
