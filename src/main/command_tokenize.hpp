// hydrajob tokenize: what a tokenizer makes of text, and of ids.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

ExitCode run_tokenize(const std::vector<std::string>& arguments);

}  // namespace hydrajob
